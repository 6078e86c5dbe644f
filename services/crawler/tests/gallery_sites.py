"""Sites on loopback whose software gallery-dl knows: Philomena with its API, Shimmie2 with its pages."""

import json
from urllib.parse import quote, unquote

from services.crawler.tests.booru_sites import BooruSite, Offer, Query

PAGE = 50
_WORDS = {"general": "safe", "sensitive": "suggestive", "questionable": "questionable", "explicit": "explicit"}


class PhilomenaSite(BooruSite):
    """https://derpibooru.org/pages/api: tags have spaces, and one of them is the rating."""

    def __init__(self, offers: list[Offer]) -> None:
        super().__init__("gallery-dl", offers)
        self.sound_pages = 10**9
        """It fails after so many."""
        self.keys: set[str] = set()

    def entry(self) -> dict[str, object]:
        """What the crawler has to know of it."""
        return {
            "search": f"philomena:{self.url}/search?q={{tag}}",
            "page": f"{self.url}/images/{{id}}",
            "spelling": "words",
            "rating_key": "tags",
            "ratings": {word: ours for ours, word in _WORDS.items()},
        }

    def answer(self, path: str, query: Query) -> tuple[int, bytes]:
        if path.startswith("/data/"):
            return super().answer(path, query)
        self.keys.add(query.get("key", ""))
        if (page := int(query.get("page", 1))) > self.sound_pages:
            return 500, b""
        assert path == "/api/v1/json/search/images" and ("filter_id" in query or "key" in query)
        count = min(int(query.get("per_page", 25)), PAGE)
        start = (page - 1) * count
        found = [each for each in self.offers if query["q"].lower().replace(" ", "_") in {"1girl", *each.tags.split()}]
        return 200, json.dumps(
            {"images": [self._image(each) for each in found[start : start + count]], "total": len(found)}
        ).encode()

    def _image(self, each: Offer) -> dict:
        return self.post({
            "id": each.id, "tags": [_WORDS[each.rating], *(tag.replace("_", " ") for tag in each.tags.split())],
            "representations": {"full": self.link(each)}, "view_url": self.link(each), "format": "png",
            "created_at": "2026-01-02T03:04:05Z", "width": 40, "height": 30, "source_url": each.source,
        })  # fmt: skip


class ShimmieSite(BooruSite):
    """https://github.com/shish/shimmie2: lists are pages of thumbnails, and say nothing of ratings."""

    def __init__(self, offers: list[Offer]) -> None:
        super().__init__("gallery-dl", offers)

    def entry(self) -> dict[str, object]:
        """What the crawler has to know of it."""
        return {
            "search": f"shimmie2:{self.url}/post/list/{{tag}}/1",
            "page": f"{self.url}/post/view/{{id}}",
            "unrated": "general",
        }

    def answer(self, path: str, query: Query) -> tuple[int, bytes]:
        if path.startswith("/_images/"):
            return super().answer(f"/data/{path.split('/')[-1].partition('%20')[0]}.png", query)
        _, _, _, tag, number = path.split("/")
        found = [each for each in self.offers if unquote(tag) in {"1girl", *each.tags.split()}]
        start = (int(number) - 1) * PAGE
        thumbs = "".join(self._thumb(each) for each in found[start : start + PAGE])
        following = f"<a href='/post/list/{tag}/{int(number) + 1}'>Next</a>" if found[start + PAGE :] else "Next"
        page = f"<html><head><link rel='icon'></head><body>{thumbs}{following}</body></html>"
        return (200 if found else 404), page.encode()

    def _thumb(self, each: Offer) -> str:
        shown = f"data-tags='{each.tags}' data-mime='image/png' data-post-id='{each.id}' data-ext='png'"
        title = f"{each.tags} // 40x30 // 1KB // PNG"
        thumb = f"/_thumbs/{each.md5}/{each.id}%20-%20{quote(each.tags)}.jpg"
        # The order of the attributes is Shimmie2's own.
        return f"<a class='thumb' {shown} href='/post/view/{each.id}'><img title='{title}' src='{thumb}'></a>\n"

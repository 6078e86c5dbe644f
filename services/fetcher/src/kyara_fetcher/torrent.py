"""A torrent's videos into a folder, going on where an earlier process was killed.

No name from the torrent ever becomes a path: files lie in the folder as `00000`, `00001`, ... Nothing is downloaded
before the files are chosen and there is room for them, no peer is met before what is on disk has been checked, and
nothing is uploaded once the chosen files are complete, unless told.
"""

import errno
import time
from collections.abc import Callable
from pathlib import Path

import libtorrent as lt

from kyara_fetcher.choosing import Choice, Offered, no_room
from kyara_fetcher.pins import PinnedTorrent
from kyara_fetcher.torrents import Hints
from kyara_stage import StageError

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with phase, bytes done, bytes in all (0: unknown), and peers and bytes per second."""
Chooser = Callable[[list[Offered]], Choice]

_TICK_S = 0.25
_SAVE_EVERY_S = 2.0
_RETRY_PEERS_S = 3.0
_CLOSE_WITHIN_S = 20.0
_METADATA = "looking for the torrent's peers"
_CHECKING = "checking what is on disk"
_DATA = "downloading"
_SHARING = "sharing"
_NOT, _NORMAL = 0, 4
# With what is in memory: the pieces of a v2 torrent would stay there until it is complete.
_STATE = lt.save_resume_flags_t.save_info_dict | lt.save_resume_flags_t.flush_disk_cache
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Torrent:
    """One torrent in a session, its files in `folder`, its state in `folder/resume`."""

    def __init__(self, session: lt.session, torrent: PinnedTorrent, hints: Hints, data: bytes | None, folder: Path) -> None:
        """`data` is the .torrent file, where there is one."""
        self._session = session
        self._called = f"the torrent {torrent.hash[:12]}"
        self._hints = hints
        self._folder = folder
        self._state = folder / "resume"
        self._complaints: dict[str, str] = {}
        self._damaged = 0
        self._next_save = self._next_peers = 0.0
        left = _left_state(self._state)
        self._params = left or (lt.load_torrent_buffer(data) if data else lt.parse_magnet_uri(torrent.magnet))

    def download(self, choose: Chooser, timeout_s: float, seed_s: float, progress: Progress) -> list[tuple[Offered, Path]]:
        """Each chosen video and where it lies, once all are complete and were shared for `seed_s`.

        Raises StageError: FAILED_PRECONDITION after `timeout_s` without a sound byte, RESOURCE_EXHAUSTED without room.
        """
        info = self._params.ti or self._list_of_files(timeout_s, progress)
        choice = choose(_offered(info))
        self._join(self._whole(info, choice))
        try:
            self._check(choice, progress)
            if seed_s or self._done(choice) < choice.size:
                self._handle.resume()
                self._wait_for_data(choice, timeout_s, progress)
                self._share(choice, seed_s, progress)
        finally:
            self._leave()
        return [(video, self._folder / disk_name(video.number)) for video in choice.videos]

    def _list_of_files(self, timeout_s: float, progress: Progress) -> lt.torrent_info:
        """What a torrent of which only the hash is known holds, from its peers.

        They are met a second time for the files: one that wants no file looks finished, and seeders hang up on it.
        """
        params = lt.add_torrent_params()
        params.info_hashes = self._params.info_hashes
        params.flags |= lt.torrent_flags.default_dont_download
        self._join(params)
        deadline = time.monotonic() + timeout_s
        while (info := self._handle.torrent_file()) is None:
            if time.monotonic() > deadline:
                raise self._nobody(timeout_s, "not one gave its list of files")
            self._tick()
            progress(_METADATA, 0, 0, self._metrics())
        self._session.remove_torrent(self._handle)
        self._wait_for((lt.torrent_removed_alert,))
        return info

    def _whole(self, info: lt.torrent_info, choice: Choice) -> lt.add_torrent_params:
        """The torrent with its files under plain names, only the chosen ones wanted, paused once checked.

        An earlier process's list of pieces is a little older than its files: without one, all that is on disk is checked.
        """
        chosen = {video.number for video in choice.videos}
        numbers = range(info.num_files())
        self._params.ti = info
        self._params.renamed_files = {number: disk_name(number) for number in numbers}
        self._params.file_priorities = [_NORMAL if number in chosen else _NOT for number in numbers]
        self._params.have_pieces, self._params.verified_pieces, self._params.unfinished_pieces = [], [], {}
        self._params.flags |= lt.torrent_flags.stop_when_ready
        return self._params

    def _join(self, params: lt.add_torrent_params) -> None:
        params.save_path = str(self._folder)
        params.trackers = list(self._hints.trackers)
        params.url_seeds = list(self._hints.web_seeds)
        params.peers = list(self._hints.peers)
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        self._handle = self._session.add_torrent(params)

    def _check(self, choice: Choice, progress: Progress) -> None:
        while not self._handle.status().flags & lt.torrent_flags.paused:
            self._hear()
            progress(_CHECKING, self._done(choice), choice.size, {})

    def _wait_for_data(self, choice: Choice, timeout_s: float, progress: Progress) -> None:
        gained_at, gained = time.monotonic(), 0
        while (done := self._done(choice)) < choice.size:
            self._tick()
            status = self._handle.status()
            # Bytes that fail their check are taken off again, or a peer that sends nothing else would keep us here.
            if (sound := status.total_payload_download - status.total_failed_bytes) > gained:
                gained_at, gained = time.monotonic(), sound
            elif time.monotonic() - gained_at > timeout_s:
                raise self._nobody(timeout_s, f"not one gave a sound byte after {100 * done // choice.size} % of it")
            progress(_DATA, done, choice.size, self._metrics())
        progress(_DATA, choice.size, choice.size, self._metrics())

    def _share(self, choice: Choice, seconds: float, progress: Progress) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._tick()
            progress(_SHARING, choice.size, choice.size, self._metrics())

    def _done(self, choice: Choice) -> int:
        """Bytes of the chosen files in pieces that are verified."""
        done = self._handle.file_progress(lt.torrent_handle.piece_granularity)
        return sum(done[video.number] for video in choice.videos) if done else 0

    def _tick(self) -> None:
        """Let the session work a moment, and call known peers when nothing comes from those who are there."""
        self._hear()
        now = time.monotonic()
        if now >= self._next_peers and not self._handle.status().download_payload_rate:
            self._next_peers = now + _RETRY_PEERS_S
            for peer in self._hints.peers:
                self._handle.connect_peer(peer)

    def _hear(self) -> None:
        """Wait a moment for what the session says, and keep its state now and then."""
        self._session.wait_for_alert(round(1000 * _TICK_S))
        for alert in self._session.pop_alerts():
            self._heard(alert)
        now = time.monotonic()
        if now >= self._next_save:
            self._next_save = now + _SAVE_EVERY_S
            self._handle.save_resume_data(_STATE | lt.save_resume_flags_t.only_if_modified)

    def _heard(self, alert: lt.alert) -> None:
        match alert:
            case lt.save_resume_data_alert():
                part = self._state.with_suffix(".part")
                part.write_bytes(lt.write_resume_data_buf(alert.params))
                part.replace(self._state)
            case lt.file_error_alert():
                if alert.error.value() in _DISK_FULL:
                    raise no_room(alert.error.message())
                raise StageError.unavailable(f"{self._called} cannot be written to the work folder: {alert.error.message()}")
            case lt.torrent_error_alert():
                raise StageError.unavailable(f"{self._called} failed: {alert.error.message()}")
            case lt.hash_failed_alert():
                self._damaged += 1
            case lt.tracker_error_alert():
                self._complaints[alert.url] = alert.error_message() or alert.error.message()
            case lt.url_seed_alert():
                self._complaints[alert.server_url()] = alert.error_message() or alert.error.message()

    def _metrics(self) -> dict[str, float]:
        status = self._handle.status()
        return {"peers": float(status.num_peers), "bytes_per_s": float(status.download_payload_rate)}

    def _nobody(self, timeout_s: float, what: str) -> StageError:
        heard = "".join(f"; {url} says: {complaint}" for url, complaint in sorted(self._complaints.items())[:3])
        damaged = f"; {self._damaged} pieces that came were damaged" if self._damaged else ""
        return StageError.precondition(
            f"nobody seeds {self._called}: of {self._handle.status().list_peers} known peers {what} "
            f"within {timeout_s:g} s{damaged}{heard}. Seed it or choose another source, then retry the job"
        )

    def _leave(self) -> None:
        """Write everything to disk with its state, and leave the swarm."""
        self._handle.pause()
        self._handle.save_resume_data(_STATE)
        self._wait_for((lt.save_resume_data_alert, lt.save_resume_data_failed_alert))
        self._session.remove_torrent(self._handle)
        self._wait_for((lt.torrent_removed_alert,))

    def _wait_for(self, kinds: tuple[type[lt.alert], ...]) -> None:
        deadline = time.monotonic() + _CLOSE_WITHIN_S
        while time.monotonic() < deadline:
            self._session.wait_for_alert(round(1000 * _TICK_S))
            for alert in self._session.pop_alerts():
                if isinstance(alert, lt.save_resume_data_alert):
                    self._heard(alert)
                if isinstance(alert, kinds):
                    return


def _offered(info: lt.torrent_info) -> list[Offered]:
    """The torrent's real files."""
    layout = info.layout()
    unreal = lt.file_storage.flag_pad_file | lt.file_storage.flag_symlink
    return [
        Offered(number, layout.file_path(number), layout.file_size(number))
        for number in range(layout.num_files())
        if not layout.file_flags(number) & unreal
    ]


def _left_state(state: Path) -> lt.add_torrent_params | None:
    try:
        return lt.read_resume_data(state.read_bytes())
    except (FileNotFoundError, RuntimeError):
        # None yet, or torn by a power cut: the files themselves are checked then.
        return None


def disk_name(number: int) -> str:
    """What a source's file is called in the work folder."""
    return f"{number:05d}"

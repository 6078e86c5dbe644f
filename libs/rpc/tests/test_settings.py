"""Settings: command line over environment over YAML over default, and a typo in any of them is said by name."""

from pathlib import Path

import pytest
from pydantic import Field

from kyara_rpc import ServiceSettings, load_settings, settings_config


class BellSettings(ServiceSettings):
    """Settings of no real room."""

    model_config = settings_config("bell")

    strokes: int = Field(default=1, ge=1)
    """How often it rings."""
    tower_name: str = "default"
    """Where it hangs."""


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that KYARA_CONFIG names; empty."""
    path = tmp_path / "bell.yaml"
    path.write_text("")
    monkeypatch.setenv("KYARA_CONFIG", str(path))
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said when the settings are wrong."""
    with pytest.raises(SystemExit) as caught:
        load_settings(BellSettings, arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_without_anything_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KYARA_CONFIG", raising=False)
    settings = load_settings(BellSettings, [])
    assert (settings.strokes, settings.tower_name, settings.listen) == (1, "default", "127.0.0.1:0")


def test_each_layer_covers_the_ones_beneath(yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tower(*arguments: str) -> str:
        return load_settings(BellSettings, arguments).tower_name

    assert tower() == "default"
    yaml.write_text("tower_name: yaml\nstrokes: 7\n")
    assert tower() == "yaml"
    monkeypatch.setenv("KYARA_BELL_TOWER_NAME", "environment")
    assert tower() == "environment"
    assert tower("--tower-name", "command line") == "command line"
    assert load_settings(BellSettings, ["--tower-name", "x"]).strokes == 7, "a layer covers only what it names"


def test_a_misspelt_key_in_the_yaml_file_is_named(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml.write_text("strokes: 2\ntowername: x\n")
    assert "towername" in refused(capsys)


def test_a_misspelt_variable_is_named_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KYARA_BELL_TOWERNAME", "x")
    said = refused(capsys)
    assert "KYARA_BELL_TOWERNAME" in said
    assert "KYARA_BELL_TOWER_NAME" in said


def test_the_variables_of_other_rooms_are_none_of_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYARA_FETCHER_WORK_DIR", "/x")
    monkeypatch.setenv("KYARA_BELLOWS_SIZE", "3")
    assert load_settings(BellSettings, []).strokes == 1


@pytest.mark.parametrize("argument", ["--towername=x", "--strokess=2"])
def test_a_misspelt_option_is_named(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert argument.split("=")[0].lstrip("-") in refused(capsys, argument)


@pytest.mark.parametrize("layer", ["yaml", "environment", "command line"])
def test_a_wrong_value_is_said_with_its_key_whatever_layer_it_is_in(
    layer: str, yaml: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if layer == "yaml":
        yaml.write_text("strokes: 0\n")
    if layer == "environment":
        monkeypatch.setenv("KYARA_BELL_STROKES", "0")
    said = refused(capsys, *(["--strokes", "0"] if layer == "command line" else []))
    assert "setting strokes: Input should be greater than or equal to 1" in said


@pytest.mark.parametrize(("name", "value"), [("LISTEN", "8080"), ("LOG_LEVEL", "loud"), ("REFLECTION", "perhaps")])
def test_what_every_service_is_told_is_checked(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"KYARA_BELL_{name}", value)
    assert f"setting {name.lower()}:" in refused(capsys)


def test_a_yaml_file_that_is_named_but_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KYARA_CONFIG", str(tmp_path / "nowhere.yaml"))
    assert "nowhere.yaml" in refused(capsys)


@pytest.mark.parametrize("text", ["strokes: [", "- strokes\n", "just words"])
def test_a_yaml_file_that_is_no_mapping_is_said_by_its_name(yaml: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    yaml.write_text(text)
    assert "bell.yaml" in refused(capsys)


def test_settings_cannot_be_changed_later() -> None:
    settings = load_settings(BellSettings, [])
    with pytest.raises(ValueError, match="frozen"):
        settings.strokes = 2

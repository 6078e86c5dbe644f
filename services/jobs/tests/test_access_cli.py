"""`kyara` with tokens and TLS: makes tokens, shows them, and says what is wrong with one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kyara_cli.exits import Exit
from kyara_rpc.tokens import Role, Verifier
from services.jobs.tests.guarded import Guarded, write_pair
from services.jobs.tests.jobs_world import Temporal

MAKE = ("--subject", "aya", "--tenant", "acme", "--role", "submit")


@pytest.fixture(scope="module")
def world(folder: Path, temporal: Temporal) -> Iterator[Guarded]:
    guarded = Guarded(folder / "cli", temporal, "cli")
    yield guarded
    guarded.stop()


def kyara(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("kyara")), *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False)


def token(world: Guarded, *changed: str) -> str:
    """What `kyara token` gives."""
    done = kyara("token", "--key", str(world.signer), *(changed or MAKE))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def at(world: Guarded, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command against the guarded server."""
    return kyara(*arguments, KYARA_ADDRESS=world.process.serves, **{"KYARA_CA": str(world.authority.ca), **environment})


def test_a_token_it_makes_is_taken_from_the_environment_and_from_a_file(world: Guarded, tmp_path: Path) -> None:
    made = token(world)
    (tmp_path / "token").write_text(made + "\n")
    submit = ("submit", "character", str(tmp_path), "--name", "Aya", "--recipe", "miniature", "--no-watch", "--json")
    done = at(world, *submit, KYARA_TOKEN=made)
    assert done.returncode == Exit.OK, done.stderr
    job = json.loads(done.stdout)
    assert job["tenant"] == "acme"
    assert at(world, "watch", job["id"], "--json", KYARA_TOKEN_FILE=str(tmp_path / "token")).returncode == Exit.OK


def test_what_it_cannot_do_with_a_token_it_says(world: Guarded) -> None:
    none = at(world, "jobs")
    assert none.returncode == Exit.NOT_ALLOWED
    assert "KYARA_TOKEN" in none.stderr
    reader = token(world, "--subject", "aya", "--role", "read")
    done = at(world, "cancel", "x", KYARA_TOKEN=reader)
    assert done.returncode == Exit.NOT_ALLOWED
    assert "needs the role submit" in done.stderr
    other = at(world, "show", "x", KYARA_TOKEN=reader)
    assert other.returncode == Exit.NOT_FOUND
    assert reader not in done.stderr + other.stderr


@pytest.mark.parametrize("shown", ["two words", "line\nend", "ümlaut"])
def test_what_is_no_token_is_said_before_it_is_sent(world: Guarded, shown: str) -> None:
    done = at(world, "jobs", KYARA_TOKEN=shown)
    assert done.returncode == Exit.INVALID
    assert "kyara token" in done.stderr
    assert shown not in done.stderr


def test_a_token_is_not_sent_in_the_clear_to_another_machine() -> None:
    done = kyara("jobs", "--address", "192.0.2.1:7400", KYARA_TOKEN="a.b.c")
    assert done.returncode == Exit.INVALID
    assert "KYARA_CA" in done.stderr


def test_a_server_of_another_ca_or_without_tls_is_said(world: Guarded) -> None:
    stranger = at(world, "jobs", KYARA_CA="public", KYARA_TOKEN="a.b.c")
    assert stranger.returncode == Exit.UNREACHABLE
    assert "certificate" in stranger.stderr
    plain = at(world, "jobs", KYARA_CA="", KYARA_TOKEN="a.b.c")
    assert plain.returncode == Exit.UNREACHABLE
    assert "TLS" in plain.stderr
    missing = at(world, "jobs", KYARA_CA="/nowhere.pem")
    assert missing.returncode == Exit.INVALID
    assert "/nowhere.pem" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--subject", "", "--role", "read"), "subject"),
        (("--subject", "aya", "--role", "read", "--tenant", "Acme Inc"), "tenant"),
        (("--subject", "aya", "--role", "owner"), "owner"),
        (("--subject", "aya", "--role", "read", "--days", "4000"), "366"),
    ],
)
def test_a_token_that_would_not_be_taken_is_not_made(world: Guarded, arguments: tuple[str, ...], words: str) -> None:
    done = kyara("token", "--key", str(world.signer), *arguments)
    assert done.returncode == Exit.INVALID
    assert words in done.stderr
    assert not done.stdout


def test_a_public_key_signs_nothing_and_a_secret_does_both(world: Guarded, tmp_path: Path) -> None:
    done = kyara("token", "--key", str(world.public), *MAKE)
    assert done.returncode == Exit.INVALID
    assert "private key" in done.stderr
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    made = kyara("token", "--key", str(secret), *MAKE, "--json")
    who = Verifier(secret, "kyara").identity_of(json.loads(made.stdout)["token"])
    assert (who.subject, who.tenant, who.roles) == ("aya", "acme", {Role.SUBMIT})
    write_pair(tmp_path / "p", tmp_path / "q")
    with pytest.raises(ValueError, match="private key"):
        Verifier(tmp_path / "p", "kyara")

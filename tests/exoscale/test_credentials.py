"""Credentials as the exo command resolves them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.errors import CredentialsError
from harness.exoscale.credentials import Credentials, Flags, resolve_credentials
from harness.secret import Secret

PROFILE = """
defaultAccount = "work"
[[accounts]]
name = "work"
KEY = "EXOwork"
secret = "profile-secret"
defaultZone = "de-fra-1"
[[accounts]]
name = "other"
key = "EXOother"
secretCommand = [%s, "-c", "print('printed-secret')"]
endpoint = "https://api.example.com/v2/"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / ".config" / "exoscale"
    folder.mkdir(parents=True)
    (folder / "exoscale.toml").write_text(PROFILE % repr(sys.executable))
    return tmp_path


def resolve(home: Path, flags: Flags | None = None, **environ: str) -> Credentials:
    return resolve_credentials(flags, environ=environ, home=home, platform="linux")


def test_the_default_account_gives_key_zone_and_endpoint(home: Path) -> None:
    found = resolve(home)
    assert (found.key, found.secret.reveal(), found.zone) == ("EXOwork", "profile-secret", "de-fra-1")
    assert found.endpoint == "https://api-de-fra-1.exoscale.com/v2"


def test_a_flag_beats_the_environment_and_the_environment_the_profile(home: Path) -> None:
    environ = {"EXOSCALE_API_KEY": "EXOenv", "EXOSCALE_API_SECRET": "env-secret", "EXOSCALE_ZONE": "at-vie-2"}
    assert resolve(home, **environ).key == "EXOenv"
    assert resolve(home, **environ).zone == "at-vie-2"
    flags = Flags(key="EXOflag", secret=Secret("flag-secret"), zone="bg-sof-1")
    found = resolve(home, flags, **environ)
    assert (found.key, found.secret.reveal(), found.zone) == ("EXOflag", "flag-secret", "bg-sof-1")


def test_the_profiles_zone_survives_a_key_from_the_environment(home: Path) -> None:
    found = resolve(home, EXOSCALE_API_KEY="EXOenv", EXOSCALE_API_SECRET="s")
    assert (found.key, found.zone) == ("EXOenv", "de-fra-1")


def test_another_account_is_chosen_by_flag_or_environment_and_its_command_is_run(home: Path) -> None:
    for found in (resolve(home, Flags(account="other")), resolve(home, EXOSCALE_ACCOUNT="other")):
        assert (found.key, found.secret.reveal()) == ("EXOother", "printed-secret")
        assert found.endpoint == "https://api.example.com/v2"


def test_without_any_file_the_environment_is_enough(tmp_path: Path) -> None:
    found = resolve(tmp_path, EXOSCALE_API_KEY="EXOenv", EXOSCALE_API_SECRET="s")
    assert found.zone == "ch-dk-2"
    assert found.endpoint == "https://api-ch-dk-2.exoscale.com/v2"


@pytest.mark.parametrize(
    ("key", "secret"), [("EXOSCALE_KEY", "EXOSCALE_SECRET"), ("CLOUDSTACK_KEY", "CLOUDSTACK_SECRET")]
)
def test_older_names_of_the_variables_are_read(tmp_path: Path, key: str, secret: str) -> None:
    assert resolve(tmp_path, **{key: "EXOold", secret: "s"}).key == "EXOold"


def test_a_named_file_is_read_wherever_it_is(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[accounts]]\nname = "only"\nkey = "EXOonly"\nsecret = "s"\n')
    assert resolve(home, Flags(config=str(path))).key == "EXOonly"
    assert resolve(home, EXOSCALE_CONFIG=str(path)).key == "EXOonly"


def test_the_endpoint_may_be_given_whole(home: Path) -> None:
    found = resolve(home, EXOSCALE_API_ENDPOINT="http://127.0.0.1:8080/v2/")
    assert found.endpoint == "http://127.0.0.1:8080/v2"


ERRORS = [
    ({}, "no Exoscale credentials: set EXOSCALE_API_KEY and EXOSCALE_API_SECRET"),
    ({"EXOSCALE_API_KEY": "EXO"}, "EXOSCALE_API_KEY is set but EXOSCALE_API_SECRET is not"),
    ({"EXOSCALE_API_SECRET": "planted"}, "EXOSCALE_API_SECRET is set but EXOSCALE_API_KEY is not"),
    ({"EXOSCALE_CONFIG": "/nowhere.toml"}, "'/nowhere.toml' does not exist"),
]


@pytest.mark.parametrize(("environ", "words"), ERRORS)
def test_what_is_missing_is_named(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        resolve(tmp_path, **environ)
    assert words in str(caught.value)
    assert "planted" not in str(caught.value)


def test_an_unknown_account_says_which_exist(home: Path) -> None:
    with pytest.raises(CredentialsError, match=r"no account 'nobody' in .* it has: 'work', 'other'"):
        resolve(home, Flags(account="nobody"))


def test_half_a_pair_of_flags_is_refused(home: Path) -> None:
    with pytest.raises(CredentialsError, match="go together"):
        resolve(home, Flags(key="EXO"))


FILES = [
    ("key = [", "is not TOML"),
    ('[[accounts]]\nname = "a"\nsecret = "planted"', "has no key"),
    ('[[accounts]]\nname = "a"\nkey = "k"', "has no secret and no secretCommand"),
    ('[[accounts]]\nname = "a"\nkey = "k"\nsecretCommand = "pass show"', "must be a list of words"),
    (
        '[[accounts]]\nname = "a"\nkey = "k"\nsecretCommand = ["/nowhere/pass"]',
        "'/nowhere/pass' of the profile 'a' failed",
    ),
    (
        f'[[accounts]]\nname = "a"\nkey = "k"\nsecretCommand = [{sys.executable!r}, "-c", "raise SystemExit(3)"]',
        "ended with 3",
    ),
    (
        f'[[accounts]]\nname = "a"\nkey = "k"\nsecretCommand = [{sys.executable!r}, "-c", ""]',
        "printed nothing",
    ),
]


@pytest.mark.parametrize(("text", "words"), FILES)
def test_an_unusable_file_is_named_without_its_contents(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "exoscale.toml"
    path.write_text(text)
    with pytest.raises(CredentialsError) as caught:
        resolve(tmp_path, Flags(config=str(path)))
    assert words in str(caught.value)
    assert "planted" not in str(caught.value)


def test_credentials_print_without_their_secret(home: Path) -> None:
    assert "profile-secret" not in repr(resolve(home))

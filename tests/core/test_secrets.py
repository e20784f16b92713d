"""Secrets are found by what they look like and by their names, masked, and never repeated; and what is none stays."""

import io
import pickle
import random
import string
import time

import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_nb.domain import secrets as redaction
from registry_nb.domain.secrets import masked, masked_items, names_a_secret, secrets_in

# Put together here: tools that look for secrets in repositories should find none in this file.
LONG = "".join(random.Random(0).choices(string.ascii_letters + string.digits, k=36))
PEM = "-----BEGIN {}PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIE\n" + LONG + "==\n-----END {}PRIVATE KEY-----"
SECRETS = {
    "credentials in a URL": [
        "postgres://u:p@h/db",
        "postgresql+psycopg2://ada:love%40lace@db.example:5432/iris?sslmode=require",
        "redis://:hunter2@cache:6379/0",
        "https://user:ghost@ghosts@host/x",
        "https://oauth2:" + LONG + "@gitlab.example/a/b.git",
        "https://" + LONG + "@github.com/a/b.git",
        "mongodb+srv://ada:gehéim@cluster.example/test",
    ],
    "AWS access key": ["AKIA" + "IOSFODNN7EXAMPLE", "ASIA" + "2345672345672345"],
    "GitHub token": [*(f"gh{kind}_{LONG}" for kind in "pousr"), "github_" + f"pat_{LONG[:22]}_{LONG}"],
    "GitLab token": ["glpat" + f"-{LONG[:20]}"],
    "Hugging Face token": ["hf" + f"_{LONG[:34]}"],
    "API key": [
        f"sk-{LONG}{LONG[:12]}",
        f"sk-proj-{LONG}_{LONG}-{LONG}",
        f"sk-ant-api03-{LONG}-{LONG}",
        f"sk-{LONG[:20]}",
    ],
    "Slack token": ["xox" + f"b-123456789012-{LONG}", "xox" + "p-1234567890"],
    "Google API key": ["AIza" + f"{LONG[:33]}-_"],
    "JSON web token": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + LONG],
    "private key": [PEM.format(kind, kind) for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ")]
    + [PEM.format("PGP ", "PGP ").replace("KEY-----", "KEY BLOCK-----"), PEM.partition("-----END")[0].format("")],
    "bearer token": [f"Bearer {LONG}", "Bearer a.b~c+d/e-" + LONG],
    "password": [
        "password=hunter2",
        "Pwd=hunter2;",
        'DB_PASSWORD = "hunter2"',
        "{'password': 'it is \"quoted\"'}",
        '{"api_key": "abc"}',
        "AccountKey=abc/def+ghi==;",
        "client_secret=abc&grant=x",
    ],
}
#: What must not be left of each in the masked text.
PARTS = {"credentials in a URL": ["p@h", "love%40lace", "hunter2", "ghost", LONG, "gehéim"], "private key": ["MIIE"]}
EVERY = [(kind, secret) for kind, several in SECRETS.items() for secret in several]
IN_BYTES = [(kind, secret) for kind, secret in EVERY if kind not in {"bearer token", "password"} and secret.isascii()]


@pytest.mark.parametrize(("kind", "secret"), EVERY, ids=lambda given: given[:24])
def test_a_secret_is_masked_wherever_it_stands_in_a_text(kind, secret):
    for before, after in (("", ""), ("see ", " there"), ("(", ")"), ("line\n", "\nline"), ("x=", ""), ("«", "»")):
        if kind == "password" and after not in {"", " there", "\nline"}:
            continue  # an unquoted value ends with a blank
        clean, kinds = masked(f"{before}{secret}{after}")
        assert kinds == (kind,), clean
        assert clean.startswith(before)
        for part in (*PARTS.get(kind, ()), LONG[:12], "hunter2", "quoted", "abc"):
            assert part not in clean
        if kind != "private key":
            assert clean.endswith(after)
        assert masked(clean) == (clean, ()), "what is masked is not found again"


def test_what_is_masked_says_what_it_was_and_a_url_keeps_its_scheme_and_host():
    assert masked("postgresql://ada:love@db.example:5432/iris?x=1")[0] == "postgresql://***@db.example:5432/iris?x=1"
    assert masked(f"git remote https://{LONG}@github.com/a/b.git")[0] == "git remote https://***@github.com/a/b.git"
    assert masked(f"use gho_{LONG}, please")[0] == "use [masked GitHub token], please"
    assert masked('{"api_key": "abc", "x": 1}')[0] == '{"api_key": "[masked password]", "x": 1}'
    assert masked("Server=db;Pwd=abc;Port=1")[0] == "Server=db;Pwd=[masked password];Port=1"
    assert masked(f"a\n{PEM.format('', '')}\nb")[0] == "a\n[masked private key]\nb"


def test_several_secrets_are_each_masked_and_each_kind_is_named_once():
    text = f"a://u:p@h ghp_{LONG} ghp_{LONG} b://u:p@h"
    assert masked(text) == (
        "a://***@h [masked GitHub token] [masked GitHub token] b://***@h",
        ("credentials in a URL", "GitHub token"),
    )


HARMLESS = [
    "",
    "https://db.example:5432/iris",
    "ssh://git@github.com/a/b.git",
    "git@github.com:a/b.git",
    "https://user@example.com/",
    "https://example.com/a:b/c@d",
    "http://host:8080/?mail=a@b",
    "sqlite:////tmp/a@b",
    "s3://bucket/key:1@2",
    "models:/Iris@champion",
    "mail ada@example.com: hello",
    "sk-learn-contrib-random-forest-classifier",
    "scikit-learn task-sk disk-0123456789012345678901234",
    "xoxo-hugs-and-kisses",
    "hf_model_with_a_very_long_name_indeed",
    "ghp_short",
    "AKIA",
    "XAKIAIOSFODNN7EXAMPLE",
    "MKTAYIAKIAQRQISFVKSHFSRQLEERLGLIEVQ",
    "eyJ.eyJ.eyJ",
    "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "password = getpass()",
    "connect(user, password=password)",
    'password=os.environ["PASSWORD"]',
    "password: str",
    "the password is secret",
    "max_tokens=5, token_pattern='(?u)\\b\\w\\w+\\b', author='ada'",
    "pad_token='<pad>'",
    "password=",
    'password=""',
    "Bearer of good news",
    "lr=0.1",
    "a" * 64,
    "0123456789abcdef" * 4,
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_secret_stays_as_it_is(text):
    clean, kinds = masked(text)
    assert clean is text
    assert kinds == ()
    assert secrets_in(io.BytesIO(text.encode())) == ()


NAMES = """password passwd pwd secret token api_key apikey api-key apiKey APIKey API_KEY access_token auth_token
authToken hf_token HF_TOKEN github.token credential credentials private_key connection_string connectionString
aws_secret_access_key AWS_ACCESS_KEY secret_key db_password dbPassword DB-PASSWORD password2 api_key_1 my.passphrase
signing_key encryption_key ssh_key client_secret account_key subscription-key azure/openai/api_key model__api_key"""

OTHERS = """max_tokens token_pattern tokenizer author n_tokens random_state secretary password_strength_metric
password_file api_key_file use_password_hashing key sort_key primary_key foreign_key keys monkey tokens num_tokens
pad_token eos_token bos_token unk_token mask_token sep_token cls_token decoder_start_token eosToken tokens_per_second
secret_santa_count authority author_name compass passwordless pwdx tokenize keyword accuracy C l1_ratio _ 1 ключ é"""


@pytest.mark.parametrize("name", NAMES.split())
def test_a_name_of_a_secret_is_one(name):
    assert names_a_secret(name)
    clean, (phrase,) = masked_items({name: "hunter2"}, "params")
    assert clean == {name: "[masked]"}
    assert phrase == f"params[{name!r}]: its name tells of a secret"


@pytest.mark.parametrize("name", ["", *OTHERS.split()])
def test_a_name_that_only_holds_such_a_word_is_none(name):
    assert not names_a_secret(name)
    assert masked_items({name: "hunter2"}, "params") == ({name: "hunter2"}, ())


def test_items_are_masked_by_value_and_by_name_and_the_phrases_say_where():
    items = {
        "db_url": "postgres://u:pass@h/db",
        "password": b"hunter2",
        "both": f"ghp_{LONG} at a://u:p@h",
        "max_tokens": 5,
        f"hf_{LONG}": "yes",
        "note": "nothing",
    }
    before = dict(items)
    clean, phrases = masked_items(items, "tags")
    assert items == before, "the caller's own are not touched"
    assert clean == {
        "db_url": "postgres://***@h/db",
        "password": "[masked]",
        "both": "[masked GitHub token] at a://***@h",
        "max_tokens": 5,
        "[masked Hugging Face token]": "yes",
        "note": "nothing",
    }
    assert phrases == (
        "tags['db_url']: credentials in a URL",
        "tags['password']: its name tells of a secret",
        "tags['both']: GitHub token, credentials in a URL",
        "tags['[masked Hugging Face token]']: Hugging Face token",
    )
    assert masked_items(clean, "tags") == (clean, ()), "what is masked is not found again"


def test_what_is_no_text_or_no_secret_passes_as_the_same_object():
    items = {"token": 5, "secret": None, "password": True, "x": object(), "api_key": ["a"], "b": b"ghp_", "t": "a" * 99}
    clean, phrases = masked_items(items, "params")
    assert phrases == ()
    assert list(clean) == list(items)
    assert all(clean[key] is items[key] for key in items)
    flags = {
        f"{at}_token": flag for at, flag in enumerate(["", b"", " ", "True", "false", "None", "null", "yes", "NO"])
    }
    assert masked_items(flags, "params") == (flags, ())


# -- bytes


@pytest.mark.parametrize(("kind", "secret"), IN_BYTES, ids=lambda given: given[:24])
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_secret_in_a_pickle_is_found_whatever_its_length_looks_like(kind, secret, protocol):
    for held in (secret, secret.encode(), [secret, 1], {"k": f"see {secret} there"}, {secret: 1}):
        data = pickle.dumps(held, protocol)
        (found,) = secrets_in(io.BytesIO(data))
        start = secret.index("://") if kind == "credentials in a URL" else 0
        assert found == f"{kind} at byte {data.index(secret.encode()) + start}"


def test_a_text_whose_length_is_written_as_a_letter_is_found():
    """48 characters are written as the digit zero, 65 as the letter A: a token seems to be a part of a longer word."""
    for length in range(24, 256):
        secret = "ghp_" + (LONG * 8)[: length - 4]
        assert secrets_in(io.BytesIO(pickle.dumps(secret, 5))), length
        assert secrets_in(io.BytesIO(pickle.dumps(secret.encode(), 5))), length


def test_code_by_value_shows_the_globals_that_it_took_along():
    import cloudpickle

    space = {"API_KEY": f"sk-{LONG}", "__name__": "__main__"}
    exec("def predict(X):\n    return [API_KEY for _ in X]", space)
    (found,) = secrets_in(io.BytesIO(cloudpickle.dumps(space["predict"], protocol=5)))
    assert found.startswith("API key at byte ")


def test_kinds_are_counted_and_the_first_of_each_is_named():
    data = b"..".join([f"ghp_{LONG}".encode(), b"a://u:p@h", f"ghp_{LONG}".encode(), f"gho_{LONG}".encode()])
    assert secrets_in(io.BytesIO(data)) == (
        "GitHub token at byte 0 and in 2 more places",
        "credentials in a URL at byte 43",
    )


class Trickle(io.BytesIO):
    """Gives as much as it likes, as a decompressor does."""

    def read(self, size=-1):
        return super().read(min(size, 700))


@pytest.mark.parametrize("kind_of_file", [io.BytesIO, Trickle])
def test_a_secret_on_the_border_of_two_pieces_is_found_once_at_its_place(monkeypatch, kind_of_file):
    monkeypatch.setattr(redaction, "_PIECE", 1000)
    monkeypatch.setattr(redaction, "_OVERLAP", 300)
    for secret in (f"ghp_{LONG}", f"AKIA{'7' * 16}"):
        for at in range(600, 1100):
            data = b"." * at + secret.encode() + b"." * (3000 - at)
            (found,) = secrets_in(kind_of_file(data))
            assert found.endswith(f"at byte {at}")
            longer = b"." * at + b"x" + secret.encode() + b"." * (3000 - at)
            assert secrets_in(kind_of_file(longer)) == (), "it is a part of a longer word, also across a border"


def test_it_reads_from_where_the_file_stands():
    file = io.BytesIO(b"a://u:p@h" + b"." * 20 + f"ghp_{LONG}".encode())
    file.seek(9)
    assert secrets_in(file) == ("GitHub token at byte 20",)
    assert secrets_in(io.BytesIO()) == ()


def test_random_bytes_and_the_numbers_of_a_forest_hold_no_secret(forest):
    assert secrets_in(io.BytesIO(random.Random(0).randbytes(8 << 20))) == ()
    assert secrets_in(io.BytesIO(pickle.dumps(forest, 5))) == ()


# -- time


HOSTILE = [
    *("a", "://", "://a:", "eyJ", "eyJ-", "eyJaaaaaaaa.", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "password="),
    *(
        "password='",
        'password="x',
        "sk-",
        "sk-ant-",
        "ghp_",
        "Bearer ",
        "api_",
        "access_",
        "A",
        "aB",
        "_",
        " ",
        "token ",
    ),
]
STARTS = [
    "",
    "://",
    "://a:",
    "eyJ",
    "-----BEGIN PRIVATE KEY",
    "password=",
    "password='",
    "sk-",
    "Bearer ",
    "AIza",
    "ghp_",
]


@pytest.mark.slow
@pytest.mark.parametrize("part", HOSTILE)
def test_a_hundred_thousand_characters_take_no_longer_than_their_number_allows(part):
    for start in STARTS:
        text = start + part * (100_000 // len(part))
        began = time.process_time()
        masked(text)
        secrets_in(io.BytesIO(text.encode()))
        names_a_secret(text)
        assert time.process_time() - began < 2, "usually 30 ms; a pattern that goes back takes minutes"


@given(
    st.lists(st.one_of(st.text(max_size=30), st.sampled_from([secret for _, secret in EVERY])), max_size=6).map("".join)
)
def test_masking_changes_only_what_it_names(text):
    clean, kinds = masked(text)
    assert (clean == text) == (kinds == ())
    assert set(kinds) <= set(SECRETS)


@given(st.lists(st.sampled_from([secret for _, secret in EVERY]), min_size=1, max_size=5))
def test_between_blanks_nothing_of_any_secret_is_left(secrets):
    clean, _ = masked(" ".join(secrets))
    for part in ("love%40lace", "ghost", "gehéim", LONG[:20], "IOSFODNN7", "MIIE"):
        assert part not in clean


TOKEN = b"ghp_" + b"a1B2" * 9


class Module:
    """What a pickle of a model has: arrays, text of any length, and bytes that a function uses."""

    def __init__(self, **parts):
        self.__dict__.update(parts)


def pickled(protocol=5, **parts):
    return cloudpickle.dumps(Module(**parts), protocol=protocol)


@pytest.mark.parametrize(
    "numbers",
    [
        bytes(100_000) + TOKEN + bytes(100_000),
        bytearray(bytes(100_000) + TOKEN + bytes(100_000)),
        np.frombuffer(bytes(100_000) + TOKEN + bytes(100_000), dtype=np.uint8),
    ],
    ids=["bytes", "bytearray", "array"],
)
def test_the_long_bytes_of_a_pickle_are_numbers_and_what_stands_around_them_is_not(numbers):
    assert secrets_in(io.BytesIO(pickled(weights=numbers))) == ()
    for around in (
        {"before": TOKEN.decode(), "weights": numbers},
        {"weights": numbers, "after": TOKEN.decode()},
        {"weights": [numbers, numbers], "after": TOKEN},
        {"weights": numbers, "long": "text " * 50_000 + TOKEN.decode() + " text" * 50_000},
        {"weights": numbers, "many": [f"text {at}" for at in range(50_000)], "after": TOKEN.decode()},
        {"code": eval(f"lambda: {TOKEN.decode()!r}"), "weights": numbers},
    ):
        data = pickled(**around)
        places = [at for at in range(len(data)) if data.startswith(TOKEN, at)]
        (at,) = (at for at in places if not data[:at].endswith(bytes(1000)))
        assert secrets_in(io.BytesIO(data)) == (f"GitHub token at byte {at}",)


def test_what_is_no_framed_pickle_is_read_to_its_end():
    numbers = bytes(100_000) + b" " + TOKEN
    for data in (
        numbers,
        pickled(protocol=2, weights=numbers.decode()),
        pickled(protocol=3, weights=numbers),
        b"\x80\x05\x8e" + (1 << 40).to_bytes(8, "little") + numbers,  # it is shorter than it says
        b"\x80\x05\xff" + numbers,
        pickle.dumps(1, 5) + numbers,  # behind its end
        b"\x80\x05" + b"0" * 200_000 + b" " + TOKEN,
    ):
        assert secrets_in(io.BytesIO(data)) == (f"GitHub token at byte {data.index(TOKEN)}",)


def test_of_a_pickle_in_too_many_pieces_the_rest_is_read_as_a_whole(monkeypatch):
    data = pickled(weights=[bytes(100_000), bytes(100_000) + b" " + TOKEN])
    assert secrets_in(io.BytesIO(data)) == ()
    monkeypatch.setattr(redaction, "_STEPS", 4)
    assert secrets_in(io.BytesIO(data)) == (f"GitHub token at byte {data.index(TOKEN)}",)

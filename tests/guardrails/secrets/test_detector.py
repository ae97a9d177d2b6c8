"""The secret detector: the seam's promises for every family of rules, what is not a secret, hostile texts."""

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.matching.gate import Gate, open_gate
from guardrails.matching.syntax import parse
from guardrails.secrets.detector import SecretDetector, SecretRuleError, rule_ids, services
from guardrails.secrets.rules import assigned, tokens
from tests.guardrails.secrets.conftest import Scan
from tests.guardrails.secrets.test_assignments import value
from tests.support.regex_samples import sample
from tests.support.seam import check_locality, check_stability, found

CHANCE = random.Random(11)
TOKENS = [sample(parse(rule.pattern), CHANCE) for rule in tokens() for _ in range(2)]
ASSIGNED = [
    f"{sample(parse(rule.names.split('|')[-1]), CHANCE)}_key{operator}{sample(parse(rule.value), CHANCE)}"
    for rule in assigned()
    for operator in ("=", ': "')
]
BODY = "\n".join("".join(CHANCE.choices(string.ascii_letters + string.digits + "+/", k=64)) for _ in range(3))
KEY = "-----BEGIN RSA PRIVATE KEY" + f"-----\n{BODY}\nAbC=\n-----END RSA PRIVATE KEY-----\n"
GLUE = [
    " ",
    "\n",
    "",
    ".",
    "=",
    '"',
    "é",
    "_",
    "-",
    "x",
    "api_key = ",
    "password: ",
    "--token ",
    "Bearer ",
    "the key",
    "\ud800",
    ":",
    "@",
    "://",
]
PIECE = (
    st.sampled_from(TOKENS)
    | st.sampled_from(ASSIGNED)
    | st.sampled_from(
        [KEY, KEY.replace("\n", "\\n"), KEY[:120], BODY[:70], "https://u:", "hunter2X@", "password is Tr0ub4dor&3"]
    )
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Secrets, whole or cut, glued together in any way."""
    parts: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        piece = draw(PIECE)
        if draw(st.booleans()):
            piece = piece[: draw(st.integers(0, len(piece)))]
        parts += [piece, draw(st.sampled_from(GLUE))]
    return "".join(parts)


@settings(max_examples=400, deadline=None)
@given(text=texts(), data=st.data())
def test_stability(secrets: SecretDetector, secrets_gate: Gate, text: str, data: st.DataObject) -> None:
    check_stability(secrets, secrets_gate, text, data.draw(st.integers(0, len(text))))


@settings(max_examples=100, deadline=None)
@given(text=texts(), filler=st.sampled_from(["word " * 80, "x" * 300, "key=" * 80]))
def test_locality(secrets: SecretDetector, secrets_gate: Gate, text: str, filler: str) -> None:
    check_locality(secrets, secrets_gate, filler + text)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=80) | texts().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_text_raises(scan: Scan, data: bytes) -> None:
    """Never raises on any text, lone surrogates included; sorted by start."""
    starts = [match.start for match in scan(data.decode("utf-8", "surrogateescape"))]
    assert starts == sorted(starts)


def test_prose_is_settled_to_its_last_word(secrets: SecretDetector) -> None:
    text = "The key question is whether the token economy can be " + "secured"
    assert len(text) - secrets.settled(text) == len("secured")
    assert secrets.settled(text + " ") == len(text) + 1


BENIGN = """
commit 3f786850e387550fdab836ed7e6dc881de23001b
e83c5163316f89bfbde7d9ab23ca2e25604af290 initial revision
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"integrity": "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
id: 550e8400-e29b-41d4-a716-446655440000
request_id=7d444840-9dc0-11d1-b245-5ffdce74fad2
<img src="data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9">
api_key = os.environ["OPENAI_API_KEY"]
api_key: str = settings.openai_api_key
const token = process.env.GITHUB_TOKEN;
password = getpass.getpass()
password: required
password: string
"password": "********"
api_key = "YOUR_API_KEY"
api_key = "your-api-key-here"
OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
OPENAI_API_KEY=<your key>
export TOKEN=${TOKEN}
token: {{ .Values.token }}
AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE
Authorization: Bearer <token>
Authorization: Bearer $ACCESS_TOKEN
max_tokens = 4096
next_page_token: CAUQAA
primary_key=True
foreign_key="users.id"
sort_key: created_at
cache_key = f"user:{user_id}:profile"
idempotency_key = "order-2024-000123-retry-2"
public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPdk8fN2xJ7mHq1cR9zLwT0uV5yB6nE4sG3aKjD8oQiM
keyboard = "qwerty-layout-international"
author: Jane Doe
The secret of success: work.
His password is very long and nobody knows it.
The password was changed yesterday.
monkey = Chimpanzee()
turkey: served at noon
key: value
token_type: bearer
def authenticate(token: str) -> User:
if key == "ArrowDown":
  secretKeyRef:
      name: database-credentials
      key: connection-string
postgres://user:password@localhost/db
https://example.com:8080/path?key=value
mailto:jane@example.com
git@github.com:owner/repository.git
task-force, risk-averse and disk-based; ask-me-anything
the-quick-brown-fox-jumps-over-the-lazy-dog-sk-and-then-some-more
-----BEGIN CERTIFICATE-----
-----BEGIN PUBLIC KEY-----
a key starts with `-----BEGIN PRIVATE KEY-----` and ends with an END line
npm_config_registry, hf_hub_download, sk_learn, re_compile_pattern, as-is, pa-ss
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
aGVsbG8gd29ybGQsIHRoaXMgaXMganVzdCBzb21lIGJhc2U2NA==
pass_rate: 0.97, auth_mode=oauth2, secret_name=prod/db/main
sk-00000000000000000000000000000000
""".strip().splitlines()  # fmt: skip


@pytest.mark.parametrize("line", BENIGN)
def test_what_is_no_secret(line: str, scan: Scan) -> None:
    assert scan(line) == []


def test_a_token_is_preferred_to_the_generic_value_it_stands_in(scan: Scan) -> None:
    token = "glpat-" + value(20)
    assert [m.rule for m in scan(f"gitlab_token = {token}")] == ["secret.gitlab.personal-token"]
    assert [m.rule for m in scan(f"access_token = prefix:{token}")] == ["secret.gitlab.personal-token"]


def test_rules_are_chosen_by_id_or_by_its_beginning() -> None:
    detector = SecretDetector(frozenset({"secret.github", "secret.generic.key"}))
    gate = open_gate(detector.expressions)
    text = f"ghp_{value(36)} glpat-{value(20)} api_key={value(30)} password=hunter2X"
    assert [m.rule for m in found(detector, gate, text)] == ["secret.github.personal-token", "secret.generic.key"]
    assert detector.reach.length < SecretDetector().reach.length
    with pytest.raises(SecretRuleError, match=r"no secret rule 'secret\.gitub'; give an id such as"):
        SecretDetector(frozenset({"secret.gitub"}))


def test_ids_have_the_documented_shape() -> None:
    assert all(name.count(".") == 2 and name.startswith("secret.") for name in rule_ids())
    assert len(services()) >= 250


def test_hostile_texts_take_bounded_work(scan: Scan, secrets: SecretDetector) -> None:
    assert scan("sk-" * 300_000) == []
    assert scan("key=" * 50_000) == []
    assert scan("eyJ" + "a" * 200_000) == []
    assert scan("-----BEGIN PRIVATE KEY-----\n" * 3_000) == []
    assert scan("://a:" * 40_000 + "@" * 20_000) == []
    assert len(scan(f"hf_{'aBcDeFgHiJkLmNoPq' * 2} " * 30_000)) == 30_000
    assert scan("lorem ipsum dolor " * 300_000) == []
    secrets.settled("x" * 5_000_000)

"""Settings: one frozen object a process, read once here. Every option is an `AGENT_STORE_…` variable as well.

An invalid value stops the start with a sentence that names the variable. There are no default secrets.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from agent_store.kernel.errors import InvalidInput

PREFIX = "AGENT_STORE_"
NO_SAMPLE_DATA = "AGENT_STORE_NO_SAMPLE_DATA"
"""The option `--no-sample-data` by its own name; the same as AGENT_STORE_SAMPLE_DATA=no."""
BrainName = Literal["rules", "ollama", "openai"]
T = TypeVar("T")


def _setting(default: Any, parse: Callable[[str], Any], help: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"parse": parse, "help": help}, repr=not secret)


def _text(value: str) -> str:
    return value.strip()


def _integer(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError("a whole number is expected") from None


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError("a number is expected, like 0.7") from None


def _port(value: str) -> int:
    port = _integer(value)
    if not 0 <= port <= 65535:
        raise ValueError("a port is between 0 and 65535")
    return port


def _whole(value: str) -> int:
    number = _integer(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _flag(value: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[value.strip().lower()]
    except KeyError:
        raise ValueError("write yes or no") from None


def _seconds(value: str) -> timedelta:
    seconds = _number(value)
    if not 0 <= seconds <= 31_536_000:
        raise ValueError("a duration is a number of seconds, at most a year")
    return timedelta(seconds=seconds)


def _days(value: str) -> timedelta:
    days = _number(value)
    if not 1 <= days <= 3650:
        raise ValueError("a number of days from 1 to 3650")
    return timedelta(days=days)


def _time(value: str) -> time:
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value.strip())
    if found is None:
        raise ValueError("a time of day is expected, like 21:00")
    return time(int(found[1]), int(found[2]))


def _fraction(value: str) -> float:
    number = _number(value)
    if not 0 <= number <= 2:
        raise ValueError("between 0 and 2")
    return number


def _brain(value: str) -> str:
    if value not in ("rules", "ollama", "openai"):
        raise ValueError("one of rules, ollama, openai")
    return value


def _level(value: str) -> str:
    level = value.strip().lower()
    if level not in ("debug", "info", "warning", "error"):
        raise ValueError("one of debug, info, warning, error")
    return level


def _positive(value: str) -> int:
    number = _integer(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _database(value: str) -> str:
    value = value.strip()
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("an address like postgresql://user:password@host/name is expected")
    return value


def _bus(value: str) -> str:
    value = value.strip()
    if value != "knative" and not value.startswith(("amqp://", "amqps://")):
        raise ValueError("knative, or an address like amqp://user:password@host/vhost is expected")
    return value


def _redis(value: str) -> str:
    value = value.strip()
    if not value.startswith(("redis://", "rediss://")):
        raise ValueError("an address like redis://user:password@host:6379/0 is expected (rediss:// for TLS)")
    return value


def _word(value: str) -> str:
    value = value.strip()
    if not value or not all(char.isalnum() or char in "-_." for char in value):
        raise ValueError("letters, digits, -, _ and . are expected")
    return value


def _keys(value: str) -> str:
    for part in value.split(","):
        name, _, secret = part.strip().partition(":")
        if not name.isalnum() or len(secret) < 16:
            raise ValueError(
                "id:secret with commas between is expected; an id of letters and digits, 16 characters or more"
            )
    return value


def _url(value: str) -> str:
    value = value.strip().rstrip("/")
    if not value.startswith(("http://", "https://")):
        raise ValueError("a URL that begins with http:// or https://")
    return value


def _choice(*words: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        value = value.strip().lower()
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return value

    return parse


def _hosts(value: str) -> str:
    hosts = [host.strip().lower() for host in value.split(",")]
    for host in hosts:
        name = host.removeprefix("*.")
        if "." not in name or not all(char.isalnum() or char in "-." for char in name):
            raise ValueError("names of hosts with commas between are expected, or *.name for all under one")
    return ",".join(hosts)


def _percent(value: str) -> int:
    number = _integer(value)
    if not 0 <= number <= 100:
        raise ValueError("a whole number from 0 to 100")
    return number


def _share(value: str) -> int:
    number = _percent(value)
    if number == 0:
        raise ValueError("a share of nothing sends nothing: between 1 and 100")
    return number


def _object(value: str) -> str:
    try:
        found = json.loads(value)
    except ValueError as error:
        raise ValueError(f"a JSON object is expected: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("a JSON object is expected")
    return value


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set from outside. Durations are seconds in the environment, `timedelta` here."""

    host: str = _setting("127.0.0.1", _text, "address to listen on")
    port: int = _setting(8080, _port, "port to listen on; 0 takes a free one")
    data: Path = _setting(Path("var"), Path, "folder for the database and the secrets that the store makes up")
    brain: BrainName = cast(
        "BrainName", _setting("rules", _brain, "what the sellers think with: rules, ollama, openai")
    )
    sample_data: bool = _setting(True, _flag, "put in the sample catalogues at the first start")
    public_url: str = _setting("", _url, "how customers reach the store (payment links, pictures)")
    log_level: str = _setting("info", _level, "debug, info, warning or error")
    log_format: str = _setting("auto", _text, "json, console, or auto: console on a terminal")
    staff_token: str = _setting("", _text, "bearer token of the staff API; made up when absent", secret=True)

    whatsapp_app_secret: str = _setting("", _text, "the Meta app's secret, for webhook signatures", secret=True)
    whatsapp_verify_token: str = _setting("", _text, "what Meta's webhook verification must send", secret=True)
    whatsapp_access_token: str = _setting("", _text, "bearer token for the Graph API", secret=True)
    whatsapp_account: str = _setting(
        "", _text, "the WhatsApp business account's id, for the commands that manage templates and webhooks"
    )
    whatsapp_graph_url: str = _setting("", _url, "base URL of the Graph API; absent: the built-in simulator")
    whatsapp_api_version: str = _setting("v23.0", _text, "version in the Graph API's paths")
    whatsapp_timeout: timedelta = _setting(timedelta(seconds=10), _seconds, "longest wait for the Graph API")
    whatsapp_doubt: timedelta = _setting(
        timedelta(seconds=20), _seconds, "wait for a status before a send is uncertain"
    )
    whatsapp_rate: int = _setting(80, _whole, "messages a second that one of the shop's numbers sends; 0: no limit")
    whatsapp_marketing_share: int = _setting(
        50, _share, "how much of that reminders, surveys and offers may take, in percent"
    )
    whatsapp_pair_burst: int = _setting(
        45, _whole, "messages of one number to one customer that may go out at once; 0: no limit"
    )
    whatsapp_pair_pause: timedelta = _setting(timedelta(seconds=6), _seconds, "how long until one more may go out")

    whatsapp_media: str = _setting(
        "auto",
        _choice("auto", "link", "upload"),
        "how pictures go out: link (Meta fetches them), upload, or auto: uploads where the public URL is not https",
    )
    whatsapp_media_days: timedelta = _setting(
        timedelta(days=30), _days, "days that the content of customers' photos, voice notes and files is kept"
    )
    whatsapp_media_max: int = _setting(
        25 * 1024 * 1024, _positive, "most bytes of a customer's file, beside Meta's own limits by kind"
    )
    whatsapp_media_timeout: timedelta = _setting(
        timedelta(seconds=60), _seconds, "longest download or upload of a file"
    )
    whatsapp_media_hosts: str = _setting(
        "lookaside.fbsbx.com,*.fbcdn.net,*.whatsapp.net", _hosts, "hosts from which customers' files are fetched"
    )
    media_s3_endpoint: str = _setting(
        "", _url, "S3-compatible server that keeps customers' files; absent: the data folder does"
    )
    media_s3_bucket: str = _setting("", _word, "its bucket")
    media_s3_region: str = _setting("us-east-1", _word, "its region")
    media_s3_access_key: str = _setting("", _text, "its access key", secret=True)
    media_s3_secret_key: str = _setting("", _text, "its secret key", secret=True)
    transcriber: str = _setting(
        "none", _choice("none", "openai", "whisper"), "who listens to voice notes: none, openai, whisper (whisper.cpp)"
    )
    transcriber_url: str = _setting("", _url, "its base URL; absent, for openai: AGENT_STORE_OPENAI_URL")
    transcriber_api_key: str = _setting("", _text, "its key; absent: AGENT_STORE_OPENAI_API_KEY", secret=True)
    transcriber_model: str = _setting("whisper-1", _text, "its model, for openai")
    transcriber_timeout: timedelta = _setting(timedelta(seconds=30), _seconds, "longest wait for it")
    vision: str = _setting(
        "none", _choice("none", "openai", "ollama"), "who looks at customers' pictures: none, openai, ollama"
    )
    vision_url: str = _setting("", _url, "its base URL; absent: AGENT_STORE_OPENAI_URL or AGENT_STORE_OLLAMA_URL")
    vision_api_key: str = _setting("", _text, "its key; absent: AGENT_STORE_OPENAI_API_KEY", secret=True)
    vision_model: str = _setting("", _text, "its model; default gpt-4o-mini (openai), llama3.2-vision (ollama)")
    vision_timeout: timedelta = _setting(timedelta(seconds=30), _seconds, "longest wait for it")

    burst_window: timedelta = _setting(
        timedelta(milliseconds=700), _seconds, "quiet time that ends a burst of messages"
    )
    burst_max: timedelta = _setting(timedelta(seconds=3), _seconds, "longest burst")
    turn_limit: timedelta = _setting(timedelta(seconds=60), _seconds, "longest turn of a seller")
    turn_steps: int = _setting(8, _whole, "most rounds of brain and tools in a turn")
    turn_tokens: int = _setting(20_000, _whole, "most model tokens in a turn")

    context_messages: int = _setting(
        20, _percent, "earlier messages of a conversation that a model is given, at most 100"
    )
    emit_intents: bool = _setting(True, _flag, "tell as events what customers came for (store.chat.intent.detected)")

    brand: str = _setting(
        "", _object, "JSON of the brand that this process sells for, where the directory may not list it yet"
    )
    prompt: str = _setting("", _text, "file with that brand's prompt, read at the start")
    prompt_canary: str = _setting("", _text, "file with the prompt that is tried on some conversations")
    canary_percent: int = _setting(0, _percent, "the share of conversations that have it, in percent")

    ollama_url: str = _setting("http://127.0.0.1:11434", _url, "address of the Ollama server")
    openai_url: str = _setting("https://api.openai.com/v1", _url, "base URL of an OpenAI-compatible server")
    openai_api_key: str = _setting("", _text, "its key", secret=True)
    model: str = _setting("", _text, "model name; default llama3.1 (ollama), gpt-4o-mini (openai)")
    model_timeout: timedelta = _setting(timedelta(seconds=20), _seconds, "longest wait for the model, a step")
    model_max_tokens: int = _setting(800, _whole, "most tokens of one answer")
    model_temperature: float = _setting(0.4, _fraction, "sampling temperature")

    payment_window: timedelta = _setting(timedelta(minutes=30), _seconds, "how long a payment link is open")
    payment_test_mode: bool = _setting(True, _flag, "take the four test cards (there is no other provider yet)")
    payment_webhook_secret: str = _setting(
        "", _text, "what the payment provider signs its callbacks with; made up, or of KEYS, when absent", secret=True
    )
    pix_name: str = _setting("Agent Store", _text, "who is paid by Pix, as the payer's bank shows it (25 characters)")
    pix_city: str = _setting("Sao Paulo", _text, "the receiver's city in Pix codes (15 characters)")
    pix_key: str = _setting("", _text, "the receiver's Pix key, which a charge names")
    retention: timedelta = _setting(timedelta(days=30), _days, "days that finished events are kept")

    database_url: str = _setting(
        "", _database, "postgresql://user:password@host/name; absent: the SQLite file in the data folder", secret=True
    )
    database_pool: int = _setting(8, _positive, "connections to PostgreSQL of a process, at most")
    database_statement_timeout: timedelta = _setting(timedelta(seconds=15), _seconds, "longest statement on PostgreSQL")
    database_lock_timeout: timedelta = _setting(timedelta(seconds=5), _seconds, "longest wait for a lock on PostgreSQL")
    database_roles: bool = _setting(
        False, _flag, "work with the rights of one agent at a time (roles: `agent-store roles`)"
    )

    bus: str = _setting(
        "", _bus, "amqp://user:password@host/vhost, amqps://…, or knative (then K_SINK is the Broker)", secret=True
    )
    bus_prefix: str = _setting("agent-store", _word, "what the names of exchanges and queues begin with")
    bus_prefetch: int = _setting(
        256, _positive, "events of a consumer that RabbitMQ sends ahead of their acknowledgement"
    )
    bus_timeout: timedelta = _setting(timedelta(seconds=10), _seconds, "longest wait for the broker's confirmation")
    answer_within: timedelta = _setting(
        timedelta(seconds=90), _seconds, "longest request of a Knative Trigger; below the Broker's delivery.timeout"
    )
    services: str = _setting("", _text, "file that says which service runs which agents, and where")
    directory: str = _setting(
        "", _text, "file with services, brands and the shared number, read live; in place of AGENT_STORE_SERVICES"
    )
    directory_configmap: str = _setting(
        "", _word, "the ConfigMap that holds that file, watched through the API server with the pod's service account"
    )
    service: str = _setting("", _text, "name of this deployment in traces, tokens and logs (its first agent's)")
    keys: str = _setting(
        "",
        _keys,
        "id:secret,… that sign events and calls between services: the first signs, all are taken",
        secret=True,
    )
    grace: timedelta = _setting(timedelta(seconds=20), _seconds, "how long a stopping process finishes what it is at")

    redis_url: str = _setting(
        "", _redis, "redis://user:password@host/0, for limits and live screens of several processes", secret=True
    )
    redis_prefix: str = _setting("agent-store", _word, "what the names of keys and channels in Redis begin with")
    redis_timeout: timedelta = _setting(
        timedelta(milliseconds=100), _seconds, "longest wait for Redis; then the store goes on without it"
    )
    webhook_source_limit: int = _setting(0, _whole, "webhook requests of one address a minute; 0: no limit")
    webhook_number_limit: int = _setting(
        240_000, _whole, "webhook requests for one of the shop's numbers a minute; 0: no limit"
    )
    customer_messages_limit: int = _setting(
        30, _whole, "messages of a customer a minute that are answered as they come; 0: no limit"
    )
    customer_pause: timedelta = _setting(
        timedelta(seconds=60), _seconds, "how long who writes faster waits for the answer to it all"
    )
    quiet_from: time = _setting(
        time(21), _time, "from when on, by a customer's own clock, reminders, surveys and offers wait"
    )
    quiet_until: time = _setting(time(8), _time, "until when they wait; the same as QUIET_FROM: they never do")
    contacts_a_day: int = _setting(
        1, _whole, "reminders, surveys and offers that a customer gets in 24 hours, all brands together; 0: none"
    )
    contacts_a_week: int = _setting(3, _whole, "and in seven days; 0: none")
    api_limit: int = _setting(3_000, _whole, "API requests of one caller a minute; 0: no limit")
    brand_tokens_limit: int = _setting(0, _whole, "model tokens of a brand a day, then the rules answer; 0: no limit")
    customer_tokens_limit: int = _setting(
        500_000, _whole, "model tokens of a customer a day, then the rules answer; 0: no limit"
    )

    def __post_init__(self) -> None:
        if self.brain == "openai" and not self.openai_api_key and self.openai_url == "https://api.openai.com/v1":
            raise InvalidInput(
                "AGENT_STORE_OPENAI_API_KEY: the brain is openai, so give a key (or another AGENT_STORE_OPENAI_URL)"
            )

        for name, sense, url, key in (
            ("TRANSCRIBER", self.transcriber, self.transcriber_url, self.transcriber_api_key),
            ("VISION", self.vision, self.vision_url, self.vision_api_key),
        ):
            at_openai = (url or self.openai_url) == "https://api.openai.com/v1"
            if sense == "openai" and at_openai and not (key or self.openai_api_key):
                raise InvalidInput(f"AGENT_STORE_{name}_API_KEY: give a key (or another AGENT_STORE_{name}_URL)")
        if self.transcriber == "whisper" and not self.transcriber_url:
            raise InvalidInput(
                "AGENT_STORE_TRANSCRIBER_URL: say where the whisper server is, like http://localhost:8178"
            )
        if self.media_s3_endpoint:
            for name in ("media_s3_bucket", "media_s3_access_key", "media_s3_secret_key"):
                if not getattr(self, name):
                    raise InvalidInput(f"{variable(name)}: AGENT_STORE_MEDIA_S3_ENDPOINT is set, so this is needed too")

        if self.bus == "knative" and self.answer_within <= self.turn_limit:
            raise InvalidInput(
                "AGENT_STORE_ANSWER_WITHIN: a Trigger's request must stay open longer than a turn "
                f"(AGENT_STORE_TURN_LIMIT is {self.turn_limit.total_seconds():g} s)"
            )

        if self.directory and self.services:
            raise InvalidInput(
                "AGENT_STORE_SERVICES: AGENT_STORE_DIRECTORY names the services as well: set one of the two"
            )

        if self.directory_configmap and not self.directory:
            raise InvalidInput(
                "AGENT_STORE_DIRECTORY: name the file (and key) that AGENT_STORE_DIRECTORY_CONFIGMAP holds"
            )

    @property
    def database(self) -> Path:
        return self.data / "store.sqlite3"


def variable(name: str) -> str:
    return PREFIX + name.upper()


def load(environment: Mapping[str, str] | None = None, **options: object) -> Settings:
    """Defaults, then `AGENT_STORE_…` variables, then command-line options that are not None.

    Raises InvalidInput that names the variable and says what it takes. An unknown AGENT_STORE_ variable is warned of:
    a misspelt setting must not be silently without effect. AGENT_STORE_TEST_… is the test suite's own.
    """
    environment = os.environ if environment is None else environment
    known = {variable(item.name): item for item in fields(Settings)}
    values: dict[str, Any] = {}
    for name, raw in environment.items():
        if not name.startswith(PREFIX) or name.startswith(f"{PREFIX}TEST_"):
            continue
        if raw == "":
            continue
        if name == NO_SAMPLE_DATA:
            values["sample_data"] = not _parsed(name, raw, _flag)
            continue
        if name not in known:
            warnings.warn(f"{name}: there is no such setting; docs/settings.md lists them all", stacklevel=2)
            continue
        item = known[name]
        values[item.name] = _parsed(name, raw, item.metadata["parse"], secret=not item.repr)
    values.update({name: value for name, value in options.items() if value is not None})
    return Settings(**values)


def _parsed(name: str, raw: str, parse: Callable[[str], T], *, secret: bool = False) -> T:
    try:
        return parse(raw)
    except ValueError as error:
        shown = "…" if secret else repr(raw)
        raise InvalidInput(f"{name}={shown}: {error}") from None


def with_port(settings: Settings, port: int) -> Settings:
    return replace(settings, port=port)


def table() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting, for `docs/settings.md`."""
    rows: list[tuple[str, str, str]] = []
    for item in fields(Settings):
        default = item.default
        if isinstance(default, timedelta):
            default = (
                f"{default / timedelta(days=1):g}"
                if item.metadata["parse"] is _days
                else f"{default.total_seconds():g}"
            )
        elif isinstance(default, time):
            default = default.isoformat("minutes")
        elif isinstance(default, bool):
            default = "yes" if default else "no"
        rows.append((variable(item.name), str(default), str(item.metadata["help"])))
    return rows


def page() -> str:
    """`docs/settings.md`, written from the settings themselves; a test keeps the two equal."""
    lines = [
        "# Settings",
        "",
        "Each is an environment variable; `make up` passes them on. The options of `agent-store up` win over them.",
        "Durations are seconds, unless it says days. An invalid value stops the start with a sentence that names the variable.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |" for name, default, meaning in table()]
    lines += [
        "",
        "Secrets that are absent (`STAFF_TOKEN`, `PAYMENT_WEBHOOK_SECRET`, the WhatsApp ones) are made up once by the embedded store and kept in",
        "`secrets.json` of the data folder, readable by its owner only. Signature checking is never off.",
        "",
    ]
    return "\n".join(lines)

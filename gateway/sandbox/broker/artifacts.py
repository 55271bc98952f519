"""The jars of Apache Kafka: which they are, where they are kept, and that they are the right ones. A test that needs
another program of Maven's repository has a lock file of its own and the same cache.

Knows the lock file, the cache and Maven's repository; must not know how a node is run.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from gateway.sandbox.broker.progress import Progress, on_stderr

KAFKA = "Apache Kafka"
LOCK = Path(__file__).with_name("kafka.lock.toml")
INCOMING = ".incoming-"
DOWNLOADS_AT_ONCE = 8
TRIES = 3  # for each jar
REPLY_SECONDS = 20  # the repository's silence in one try
COLD_RUN_SECONDS = 600  # how long one cold run waits for another's download


class ArtifactError(Exception):
    """A jar could not be had as the lock file names it."""


class UnreachableError(ArtifactError):
    """The repository did not give the jar: no network, or it has none."""


class WrongArtifactError(ArtifactError):
    """What was downloaded is not what the lock file names."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked jar."""

    group: str
    artifact: str
    version: str
    packaging: str
    sha256: str
    classifier: str = ""

    @property
    def file_name(self) -> str:
        parts = (self.artifact, self.version, self.classifier)
        return f"{'-'.join(part for part in parts if part)}.{self.packaging}"

    def matches(self, path: Path) -> bool:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == self.sha256


def locked_jars(lock: Path = LOCK) -> tuple[Jar, ...]:
    """Read the lock file, which has the form jgo writes."""
    entries = tomllib.loads(lock.read_text(encoding="utf-8"))["dependencies"]
    return tuple(
        Jar(
            entry["groupId"],
            entry["artifactId"],
            entry["version"],
            entry["packaging"],
            entry["sha256"],
            entry.get("classifier", ""),
        )
        for entry in entries
    )


def default_cache() -> Path:
    """Where downloads are kept between runs and checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "credit-gateway" / "jars"


def ensure_jars(
    *,
    cache: Path | None = None,
    jars: Sequence[Jar] | None = None,
    progress: Progress | None = None,
    repositories: Mapping[str, str] | None = None,
    what: str = KAFKA,
) -> list[Path]:
    """Return the verified jars, downloading the missing ones; with all there, no network is touched.

    `repositories` (name to address) stand in for Maven's central repository; `what` is what people call the jars.
    """
    cache = cache or default_cache()
    jars = locked_jars() if jars is None else jars
    progress = progress or on_stderr()
    if _missing(jars, cache, progress):
        cache.mkdir(parents=True, exist_ok=True)
        with _only_one(cache, progress):
            for left_by_a_killed_run in cache.glob(f"{INCOMING}*"):
                shutil.rmtree(left_by_a_killed_run)
            missing = _missing(jars, cache, progress)  # another cold run may just have brought them
            if missing:
                _download_all(missing, cache, progress, repositories, what)
    return [cache / jar.file_name for jar in jars]


def _missing(jars: Sequence[Jar], cache: Path, progress: Progress) -> list[Jar]:
    """The jars that are not in the cache as locked; a wrong one is deleted."""
    missing = []
    for jar in jars:
        path = cache / jar.file_name
        try:
            right = jar.matches(path)
        except FileNotFoundError:
            missing.append(jar)
            continue
        if not right:
            path.unlink(missing_ok=True)
            progress.say(f"deleted {path}: its sha256 is not the locked one; it is downloaded again")
            missing.append(jar)
    return missing


@contextlib.contextmanager
def _only_one(cache: Path, progress: Progress) -> Iterator[None]:
    """Hold the cache's file lock; two cold runs at once would tread on each other."""
    give_up_at = time.monotonic() + COLD_RUN_SECONDS
    told = False
    with (cache / ".lock").open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress.say("another run is downloading: waiting for it")
                    told = True
            if time.monotonic() > give_up_at:
                message = f"another run still holds {handle.name} after {COLD_RUN_SECONDS} s: end it and try again"
                raise UnreachableError(message)
            time.sleep(0.1)
        yield


def _download_all(
    jars: Sequence[Jar], cache: Path, progress: Progress, repositories: Mapping[str, str] | None, what: str
) -> None:
    """Download beside the cache and move in only what is right: the cache never holds half a file."""
    give_up = threading.Event()
    with (
        tempfile.TemporaryDirectory(prefix=INCOMING, dir=cache) as incoming,
        progress.count(f"downloading {what}, once, into {cache}", len(jars)) as one_more,
        ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
    ):

        def bring(jar: Jar) -> None:
            if give_up.is_set():
                return
            arrived = _download(jar, cache, Path(incoming), repositories, what)
            if not jar.matches(arrived):
                arrived.unlink()
                message = (
                    f"{jar.group}:{jar.artifact}:{jar.version} came with another sha256 than the locked "
                    "one and was deleted. Try again; if it stays so, do not trust that repository"
                )
                raise WrongArtifactError(message)
            arrived.replace(cache / jar.file_name)
            one_more()

        running = [pool.submit(bring, jar) for jar in jars]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
        finally:
            give_up.set()
        for future in done:
            future.result()


def _download(jar: Jar, cache: Path, into: Path, repositories: Mapping[str, str] | None, what: str) -> Path:
    # Imported here: a warm start needs neither.
    import requests
    from jgo.maven import MavenContext
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

    context = MavenContext(
        repo_cache=into,
        remote_repos=None if repositories is None else dict(repositories),
        timeout=REPLY_SECONDS,
    )
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    artifact = component.artifact(classifier=jar.classifier, packaging=jar.packaging)

    def once() -> Path:
        # jgo takes the half file of a broken try for the whole.
        (into / artifact.component.path_prefix / artifact.filename).unlink(missing_ok=True)
        return artifact.resolve()

    attempts = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(multiplier=0.2, max=2),
        retry=retry_if_exception_type(requests.RequestException),
        reraise=True,
    )
    try:
        return attempts(once)
    except (requests.RequestException, RuntimeError) as error:  # jgo says "not found" with a RuntimeError
        message = (
            f"could not download {jar.group}:{jar.artifact}:{jar.version} ({type(error).__name__}). "
            f"{what} is downloaded once, from Maven's central repository: connect to the network "
            "(behind a proxy, set HTTPS_PROXY and REQUESTS_CA_BUNDLE) and "
            f"{'run `gateway dev kafka --fetch-only`' if what == KAFKA else 'try again'}, or copy {cache} "
            "from a machine that has it"
        )
        raise UnreachableError(message) from error

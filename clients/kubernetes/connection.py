"""The worker's connection to its Kubernetes cluster: opened at the first call, bounded, every error translated once.

The library is imported only then, and in a thread: its generated interfaces take most of a second, which no command and
no run without Kubernetes shall pay. Answers are taken as they came over the wire (`clients/kubernetes/wire.py`): the
generated models refuse what they do not know, and a newer cluster is no reason not to switch a fault off.

Nothing that the library says about a kubeconfig is quoted or logged: it names a place in the file by what stands there,
tokens included.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from clients.http.bounded_json import parse
from clients.http.control import LARGEST_ANSWER, PeerAnswer
from domain.errors import ErrorCode, HoldfastError

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient, AppsV1Api, Configuration, CoreV1Api

CALL_TIMEOUT = 10.0
"""Seconds for one call, with reading the settings and opening the connection. A stalled cluster is asked again."""

_READ_AHEAD = 65_536
"""Bytes that come before somebody has read the earlier ones."""

SETTINGS_HINT = "does `kubectl get deployments` work where the worker runs?"
RIGHTS_HINT = "docs/kubernetes.md lists the rights that the worker needs"


@dataclass(frozen=True)
class Apis:
    """An open connection."""

    client: ApiClient
    apps: AppsV1Api
    core: CoreV1Api


Ask = Callable[[Apis, float], Awaitable[aiohttp.ClientResponse]]
"""One call of the library, without reading its body; gets its timeout in seconds."""


class Cluster:
    """The cluster that the worker's surroundings name; a plan cannot choose another one.

    The settings come from `KUBECONFIG`, else from the service account of the worker's pod, else from `~/.kube/config`.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Nothing is read or opened yet."""
        self._environ = os.environ if environ is None else environ
        self._importing, self._opening = asyncio.Lock(), asyncio.Lock()
        self._apis: Apis | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._apis is not None:
            await self._apis.client.close()
            self._apis = None

    async def get(self, what: str, ask: Ask, *, within: float = CALL_TIMEOUT) -> PeerAnswer:
        """One read, of at most `within` seconds; `what` is named in errors. Any HTTP status is an answer.

        An answer 401 makes the settings be read again, once: tokens of a service account or a login program run out
        while a worker lives.

        Raises:
            HoldfastError: VALIDATION_ERROR (no usable settings); PEER_UNREACHABLE, PEER_TIMEOUT, PEER_GARBAGE (may
                pass); PEER_REJECTED (its certificate is not trusted).
        """
        where = f"kubernetes: {what}"
        await self._imported()
        try:
            async with asyncio.timeout(within):
                apis = await self._connected()
                used = _token(apis)
                answer = await _read(await ask(apis, within), where)
                if answer.status == 401:
                    await self._renew(apis, used)
                    answer = await _read(await ask(apis, within), where)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _translate(error, where, within) from error
        return answer

    async def _imported(self) -> None:
        """Not part of any call's time: on a busy machine it takes longer than the cluster."""
        async with self._importing:
            if self._apis is None:
                await asyncio.to_thread(_import)

    async def _connected(self) -> Apis:
        async with self._opening:
            if self._apis is None:
                self._apis = await _open(self._environ)
            return self._apis

    async def _renew(self, apis: Apis, refused: str) -> None:
        async with self._opening:
            if _token(apis) == refused:
                await _load(apis.client.configuration, self._environ)


def _import() -> None:
    import kubernetes.aio.client  # noqa: PLC0415 - see the module's docstring
    import kubernetes.aio.config  # noqa: PLC0415

    # The package hands these out on first use, and that is what takes its time.
    _ = kubernetes.aio.client.AppsV1Api, kubernetes.aio.client.CoreV1Api
    logging.getLogger(kubernetes.aio.config.kube_config.__name__).setLevel(logging.CRITICAL)


async def _open(environ: Mapping[str, str]) -> Apis:
    from kubernetes.aio.client import ApiClient, AppsV1Api, Configuration, CoreV1Api  # noqa: PLC0415

    settings = Configuration()
    await _load(settings, environ)
    # Nothing is decoded: a few bytes may stand for gigabytes. `_read` refuses what is encoded all the same.
    settings.client_session_kwargs = {
        "auto_decompress": False,
        "headers": {"Accept-Encoding": "identity"},
        "cookie_jar": aiohttp.DummyCookieJar(),
        "read_bufsize": _READ_AHEAD,
    }
    try:
        client = ApiClient(settings)
    except (OSError, ValueError) as error:
        # Certificates and keys are read here.
        raise _unusable(_source(environ), error) from None
    return Apis(client, AppsV1Api(client), CoreV1Api(client))


async def _load(settings: Configuration, environ: Mapping[str, str]) -> None:
    """Read address and credentials into `settings`; a login program of the kubeconfig is run."""
    from kubernetes.aio import config  # noqa: PLC0415

    source = _source(environ)
    try:
        if source is None:
            config.load_incluster_config(client_configuration=settings)
        else:
            await config.load_kube_config(config_file=source, client_configuration=settings, persist_config=False)
    except Exception as error:
        # Broken files raise whatever comes, and the library's words quote the file.
        raise _unusable(source, error) from None


def _source(environ: Mapping[str, str]) -> str | None:
    """The kubeconfig, or several in the form of KUBECONFIG; None for the pod's own service account.

    Raises:
        HoldfastError: VALIDATION_ERROR when there is none of them.
    """
    named = environ.get("KUBECONFIG", "")
    if not named and environ.get("KUBERNETES_SERVICE_HOST"):
        return None
    paths = named or str(Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config")
    if not any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path):
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"the worker knows no Kubernetes cluster: there is no {paths}, and it does not run in a pod",
            hint="set KUBECONFIG where the worker is started",
        )
    return paths


def _unusable(source: str | None, error: Exception) -> HoldfastError:
    place = source or "the pod's service account"
    return HoldfastError(
        ErrorCode.VALIDATION_ERROR,
        f"the worker cannot use its Kubernetes settings in {place} ({type(error).__name__})",
        hint=SETTINGS_HINT,
    )


def _token(apis: Apis) -> str:
    return str(apis.client.configuration.api_key.get("BearerToken", ""))


async def _read(answer: aiohttp.ClientResponse, where: str) -> PeerAnswer:
    content = bytearray()
    async with answer:
        encodings = ",".join(answer.headers.getall("Content-Encoding", [])).lower().split(",")
        if any(encoding.strip() not in ("", "identity") for encoding in encodings):
            raise HoldfastError(ErrorCode.PEER_GARBAGE, f"{where}: the answer is encoded, which was not asked for")
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise HoldfastError(ErrorCode.PEER_GARBAGE, f"{where}: more than {LARGEST_ANSWER >> 20} MiB")
    return PeerAnswer(answer.status, content.decode(errors="replace"), where)


def _translate(error: Exception, where: str, seconds: float) -> HoldfastError:
    name = type(error).__name__
    if isinstance(error, TimeoutError):
        return HoldfastError(ErrorCode.PEER_TIMEOUT, f"{where}: no whole answer within {seconds:g} s")
    if isinstance(error, aiohttp.ClientConnectorError):
        host = f"{error.host}:{error.port}"
        if isinstance(error, aiohttp.ClientSSLError):
            hint = "is certificate-authority right where the worker gets its Kubernetes settings from?"
            return HoldfastError(ErrorCode.PEER_REJECTED, f"{where}: {host} is not trusted ({name})", hint=hint)
        return HoldfastError(
            ErrorCode.PEER_UNREACHABLE, f"{where}: nothing answers at {host} ({name})", hint="is the cluster up?"
        )
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return HoldfastError(ErrorCode.PEER_REJECTED, f"{where}: the cluster's address is none", hint=SETTINGS_HINT)
    return HoldfastError(ErrorCode.PEER_GARBAGE, f"{where}: the answer was broken or cut off ({name})")


def status_of(answer: PeerAnswer) -> tuple[str, str]:
    """Reason and message of the API's `Status`; empty where the body is none, as that of an unknown path."""
    try:
        body = parse(answer.text)
    except ValueError:
        return "", ""
    is_status = isinstance(body, dict) and body.get("kind") == "Status"
    return (str(body.get("reason") or ""), str(body.get("message") or "")) if is_status else ("", "")


def require_ok(answer: PeerAnswer) -> None:
    """Refuse any status but 2xx, in the cluster's own words.

    Raises:
        HoldfastError: PEER_ERROR for what may pass (410, 429, 5xx), else PEER_REJECTED.
    """
    if answer.ok:
        return
    reason, message = status_of(answer)
    said = f"{answer.where} (status {answer.status}): {message or reason or 'no reason given'}"[:500]
    if answer.status in (410, 429) or answer.status >= 500:
        raise HoldfastError(ErrorCode.PEER_ERROR, said)
    hints = {401: f"are the worker's credentials still good: {SETTINGS_HINT}", 403: RIGHTS_HINT}
    hint = hints.get(answer.status, "" if reason else "is there a Kubernetes API at this address?")
    raise HoldfastError(ErrorCode.PEER_REJECTED, said, hint=hint)

"""The worker's connection to its Kubernetes cluster, opened at the first call.

Calls are bounded, and every error is translated once, here. The library is imported at the first call too, in a thread:
importing its generated interfaces takes most of a second, which commands and runs without Kubernetes should not pay.
Answers are read from the raw JSON (`clients/kubernetes/wire.py`), because the generated models refuse values that they
do not know, and a newer cluster must not keep us from switching a fault off.

Errors of the library about a kubeconfig are never quoted or logged: they quote the file's contents, including tokens.
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
"""Timeout of a call, in seconds, including reading the settings and connecting.

Calls to a stalled cluster are retried.
"""

_READ_AHEAD = 65_536
"""Bytes that are buffered before we read them."""

SETTINGS_HINT = "does `kubectl get deployments` work where the worker runs?"
RIGHTS_HINT = "docs/kubernetes.md lists the rights that the worker needs"


@dataclass(frozen=True)
class Apis:
    """An open connection: the client and its two APIs."""

    client: ApiClient
    apps: AppsV1Api
    core: CoreV1Api


Ask = Callable[[Apis, float], Awaitable[aiohttp.ClientResponse]]
"""A library call that does not read the body.

It gets its timeout in seconds.
"""


class Cluster:
    """The cluster that the worker's environment defines; a plan cannot choose another.

    The settings come from `KUBECONFIG`, else from the service account of the worker's pod, else from `~/.kube/config`.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Prepare the connection, without reading or opening anything yet."""
        self._environ = os.environ if environ is None else environ
        self._importing, self._opening = asyncio.Lock(), asyncio.Lock()
        self._apis: Apis | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._apis is not None:
            await self._apis.client.close()
            self._apis = None

    async def get(self, what: str, ask: Ask, *, within: float = CALL_TIMEOUT) -> PeerAnswer:
        """Make one read call within `within` seconds; `what` names it in errors.

        Any HTTP status counts as an answer. After a 401 the settings are read again, once, and the call is repeated:
        tokens of a service account or a login program expire while a worker runs.

        Raises:
            HoldfastError: VALIDATION_ERROR (no usable settings); PEER_UNREACHABLE, PEER_TIMEOUT, PEER_GARBAGE (may be
                temporary); PEER_REJECTED (its address is invalid, or its certificate not trusted).
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
        """Import the library before the first call, outside its timeout."""
        # On a busy machine the import takes longer than the cluster's answer.
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
            # Another call may have renewed the token while we waited for the lock.
            if _token(apis) == refused:
                await _load(apis.client.configuration, self._environ)


def _import() -> None:
    import kubernetes.aio.client  # noqa: PLC0415 - see the module's docstring
    import kubernetes.aio.config  # noqa: PLC0415

    # The package loads these lazily, on first use: that is the slow part.
    _ = kubernetes.aio.client.AppsV1Api, kubernetes.aio.client.CoreV1Api
    logging.getLogger(kubernetes.aio.config.kube_config.__name__).setLevel(logging.CRITICAL)


async def _open(environ: Mapping[str, str]) -> Apis:
    from kubernetes.aio.client import ApiClient, AppsV1Api, Configuration, CoreV1Api  # noqa: PLC0415

    settings = Configuration()
    await _load(settings, environ)
    # Nothing is decoded: a few bytes may expand to gigabytes. `_read` refuses answers that are encoded nevertheless.
    settings.client_session_kwargs = {
        "auto_decompress": False,
        "headers": {"Accept-Encoding": "identity"},
        "cookie_jar": aiohttp.DummyCookieJar(),
        "read_bufsize": _READ_AHEAD,
    }
    try:
        client = ApiClient(settings)
    except (OSError, ValueError) as error:
        # The client reads certificates and keys when it is created.
        raise _unusable(_source(environ), error) from None
    return Apis(client, AppsV1Api(client), CoreV1Api(client))


async def _load(settings: Configuration, environ: Mapping[str, str]) -> None:
    """Read address and credentials into `settings`.

    This runs the login program that a kubeconfig may name.
    """
    from kubernetes.aio import config  # noqa: PLC0415

    source = _source(environ)
    try:
        if source is None:
            config.load_incluster_config(client_configuration=settings)
        else:
            await config.load_kube_config(config_file=source, client_configuration=settings, persist_config=False)
    except Exception as error:
        # Broken files raise any kind of exception, and the library's message quotes the file: `from None` hides it.
        raise _unusable(source, error) from None


def _source(environ: Mapping[str, str]) -> str | None:
    """Return the kubeconfig; None for the pod's own service account.

    Several kubeconfigs are returned in the form of the KUBECONFIG variable.

    Raises:
        HoldfastError: VALIDATION_ERROR when there is neither a kubeconfig nor a service account.
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
            raise HoldfastError(
                ErrorCode.PEER_GARBAGE, f"{where}: the answer is encoded, although the request does not accept that"
            )
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise HoldfastError(ErrorCode.PEER_GARBAGE, f"{where}: more than {LARGEST_ANSWER >> 20} MiB")
    return PeerAnswer(answer.status, content.decode(errors="replace"), where)


def _translate(error: Exception, where: str, seconds: float) -> HoldfastError:
    name = type(error).__name__
    if isinstance(error, TimeoutError):
        return HoldfastError(ErrorCode.PEER_TIMEOUT, f"{where}: no complete answer within {seconds:g} s")
    if isinstance(error, aiohttp.ClientConnectorError):
        host = f"{error.host}:{error.port}"
        if isinstance(error, aiohttp.ClientSSLError):
            hint = "is certificate-authority right where the worker gets its Kubernetes settings from?"
            return HoldfastError(ErrorCode.PEER_REJECTED, f"{where}: {host} is not trusted ({name})", hint=hint)
        return HoldfastError(
            ErrorCode.PEER_UNREACHABLE, f"{where}: nothing answers at {host} ({name})", hint="is the cluster up?"
        )
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return HoldfastError(
            ErrorCode.PEER_REJECTED, f"{where}: the cluster's address is not valid", hint=SETTINGS_HINT
        )
    return HoldfastError(ErrorCode.PEER_GARBAGE, f"{where}: the answer was broken or cut off ({name})")


def status_of(answer: PeerAnswer) -> tuple[str, str]:
    """Return reason and message of the API's `Status`.

    Both are empty if the body is not a `Status`, as for an unknown path.
    """
    try:
        body = parse(answer.text)
    except ValueError:
        return "", ""
    is_status = isinstance(body, dict) and body.get("kind") == "Status"
    return (str(body.get("reason") or ""), str(body.get("message") or "")) if is_status else ("", "")


def require_ok(answer: PeerAnswer) -> None:
    """Raise the cluster's own message unless the status is 2xx.

    Raises:
        HoldfastError: PEER_ERROR if it may be temporary (410, 429, 5xx), else PEER_REJECTED.
    """
    if answer.ok:
        return
    reason, message = status_of(answer)
    text = f"{answer.where} (status {answer.status}): {message or reason or 'no reason given'}"[:500]
    if answer.status in (410, 429) or answer.status >= 500:
        raise HoldfastError(ErrorCode.PEER_ERROR, text)
    hints = {401: f"are the worker's credentials still good: {SETTINGS_HINT}", 403: RIGHTS_HINT}
    hint = hints.get(answer.status, "" if reason else "is there a Kubernetes API at this address?")
    raise HoldfastError(ErrorCode.PEER_REJECTED, text, hint=hint)

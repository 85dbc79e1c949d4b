"""The peers' response envelope.

A missing `data` or `error` is left out; nulls inside `data` are sent. An unknown path or method is a 500.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic.alias_generators import to_camel

_log = logging.getLogger("lab")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WireModel(BaseModel):
    """Data of a peer's answer.

    Names are camelCase on the wire unless a field defines another one. Nulls inside data are sent.
    """

    model_config = {"alias_generator": to_camel, "populate_by_name": True}


class BadRequestError(Exception):
    """The body is unreadable JSON, or fails validation.

    This is the only error that every API reports as 400.
    """


M = TypeVar("M", bound=BaseModel)


def plain(data: object, status: int = 200) -> web.Response:
    """Answer with bare JSON."""
    return web.Response(body=json.dumps(_to_json(data)).encode(), status=status, content_type="application/json")


def success(data: object = None) -> web.Response:
    """Answer 200 with an envelope."""
    return plain({"success": True} if data is None else {"success": True, "data": _to_json(data)})


def failure(code: str, message: str, status: int = 200) -> web.Response:
    """Answer with an error envelope.

    The default is HTTP 200, as in the proxy's controllers.
    """
    return plain({"success": False, "error": {"code": code, "message": message}}, status)


async def read_model(request: web.Request, model: type[M]) -> M:
    """Validate the request's body as a `model`.

    Raises:
        BadRequestError: it is none. `catch_all` then answers 400.
    """
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
        raise BadRequestError(f"Validation failed: {problems}") from error


def catch_all(internal_code: str) -> Middleware:
    """Build the middleware that turns every error into the peers' envelope."""

    @web.middleware
    async def errors_to_envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadRequestError as error:
            return failure("400", str(error), 400)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            return failure(internal_code, f"No handler for {request.method} {request.path}", 500)
        except Exception:
            _log.exception("%s %s failed in the lab", request.method, request.path)
            return failure(internal_code, "Internal server error", 500)

    return errors_to_envelope


def _to_json(data: object) -> JsonValue:
    if isinstance(data, BaseModel):
        dumped: JsonValue = data.model_dump(mode="json", by_alias=True)
        return dumped
    if isinstance(data, list):
        return [_to_json(item) for item in data]
    if isinstance(data, dict):
        return {str(key): _to_json(value) for key, value in data.items()}
    if data is None or isinstance(data, str | bool | int | float):
        return data
    raise TypeError(f"{type(data).__name__} is no wire data")

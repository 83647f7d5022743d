"""Models of the user's own in a scheme: `model = "my_package:make_model"`."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from contracts.errors import InvalidInput, ModelpactError
from mechanisms.protocols import Fittable, Trainable, VectorModel, as_model

EXPECTED = "expected 'package.module:function', a function of features and classes that can be imported"


@contextlib.contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """Let modules in these folders be imported, before all others, for a while."""
    added = [str(folder.resolve()) for folder in folders]
    sys.path[:0] = added
    try:
        yield
    finally:
        for folder in added:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)


def load_factory(name: str) -> Callable[..., Any]:
    """The function that an entry point names.

    Raises:
        InvalidInput: it cannot be imported, or is no function.

    >>> load_factory("nowhere:make")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: model = 'nowhere:make' does not import: No module named 'nowhere': ...
    """
    place, _, function = name.partition(":")
    if not place or not function:
        raise InvalidInput(f"model = {name!r}: {EXPECTED}")
    try:
        found: Any = importlib.import_module(place)
        for part in function.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever the user's module raises when it is imported
        words = " ".join(str(error).split())[:120]
        raise InvalidInput(f"model = {name!r} does not import: {words}: {EXPECTED}") from error
    if not callable(found):
        raise InvalidInput(f"model = {name!r} is {type(found).__name__}: {EXPECTED}")
    return found


def content_of(factory: Callable[..., Any]) -> str:
    """SHA-256 of the file that defines a function, by which a change of it is noticed; "" if there is none."""
    with contextlib.suppress(TypeError, OSError):
        source = inspect.getsourcefile(inspect.unwrap(factory))
        if source is not None:
            return hashlib.sha256(Path(source).read_bytes()).hexdigest()
    return ""


@cache
def made_model(name: str, content: str, features: int, classes: int) -> Any:  # noqa: ARG001 - part of the key
    """The model that an entry point makes, the same object each time so that it is compiled once.

    Raises:
        InvalidInput: it fails, or makes what cannot be trained in a scheme.
    """
    factory = load_factory(name)
    try:
        made = as_model(factory(features=features, classes=classes), classes=classes)
    except ModelpactError as error:
        raise InvalidInput(f"model = {name!r}: {error}") from error
    except Exception as error:  # whatever the user's function raises
        words = " ".join(str(error).split())[:120]
        raise InvalidInput(f"model = {name!r} failed: {type(error).__name__}: {words}") from error
    if not isinstance(made, Fittable) and not (isinstance(made, VectorModel) and isinstance(made, Trainable)):
        raise InvalidInput(
            f"model = {name!r} makes {type(made).__name__}: expected a model with fit, or one whose parameters"
            " are a vector and that gradient steps train, for a run keeps in files what makes the model again"
        )
    return made

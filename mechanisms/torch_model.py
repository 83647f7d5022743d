"""Networks of PyTorch as vector models: every parameter and running statistic in one vector."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import BackendMissing, InvalidInput
from mechanisms.seeds import LARGEST_SEED

if TYPE_CHECKING:
    import torch

CHUNK = 2048  # inputs answered at a time


class TorchModel:
    """A `torch.nn.Module` that maps inputs to class scores, as a model of one flat vector.

    The vector holds all entries of the state dict that are floating-point numbers, buffers such as the running
    statistics of batch normalisation included, in the order of the state dict. The module itself is copied and
    never changed. Training is full-batch, by default plain gradient descent on the mean cross-entropy.

    Args:
        module: gives scores of shape (samples, classes).
        classes: how many.
        optimizer: makes an optimiser from parameters and the step length; None is `torch.optim.SGD`.
        batch: size of minibatches; None takes all samples in one step.

    Raises:
        InvalidInput: `module` is no module, or has no floating-point parameters.
        BackendMissing: PyTorch is not installed.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        classes: int,
        optimizer: Callable[[Iterable[Any], float], Any] | None = None,
        batch: int | None = None,
    ) -> None:
        torch = _torch()
        if not isinstance(module, torch.nn.Module):
            raise InvalidInput(f"module = {type(module).__name__}: expected a torch.nn.Module")
        self.classes = checks.integer("classes", classes, low=2)
        self.batch = None if batch is None else checks.integer("batch", batch, low=1)
        self._module = copy.deepcopy(module).eval()
        self._optimizer = optimizer or (lambda params, rate: torch.optim.SGD(params, lr=rate))
        self._shapes = {k: tuple(v.shape) for k, v in self._floating(self._module.state_dict()).items()}
        self.size = sum(int(np.prod(shape)) for shape in self._shapes.values())
        if not any(True for _ in self._module.parameters()):
            raise InvalidInput("module has no parameters: expected at least one")

    def __repr__(self) -> str:
        return f"TorchModel({type(self._module).__name__}, classes={self.classes}, size={self.size})"

    def vector(self, state: Mapping[str, Any] | None = None) -> Float[np.ndarray, " size"]:
        """The vector of a state dict; None is the module's own.

        Raises:
            InvalidInput: the state dict is that of another architecture.
        """
        given = self._module.state_dict() if state is None else state
        if not isinstance(given, Mapping) or not all(hasattr(v, "shape") for v in given.values()):
            raise InvalidInput(f"a checkpoint is {type(given).__name__}: expected a state dict of tensors")
        for name, shape in self._shapes.items():
            if name not in given or tuple(given[name].shape) != shape:
                found = tuple(given[name].shape) if name in given else "missing"
                raise InvalidInput(f"state dict: {name!r} is {found}: expected shape {shape}")
        parts = [np.asarray(_numpy(given[name]), dtype=np.float64).ravel() for name in self._shapes]
        return np.concatenate(parts)

    def state_dict(self, params: ArrayLike) -> dict[str, Any]:
        """The state dict of a vector, for `module.load_state_dict` and `torch.save`."""
        torch = _torch()
        vector, start = checks.array("params", params, length=self.size), 0
        state = {name: value.clone() for name, value in self._module.state_dict().items()}
        for name, shape in self._shapes.items():
            stop = start + int(np.prod(shape))
            values = torch.as_tensor(vector[start:stop].reshape(shape))
            state[name] = values.to(dtype=state[name].dtype, device=state[name].device)
            start = stop
        return state

    def initial(self, seed: int = 0) -> Float[np.ndarray, " size"]:
        """Draw starting parameters as every layer's own `reset_parameters` does."""
        torch = _torch()
        fresh = copy.deepcopy(self._module)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(checks.integer("seed", seed, high=LARGEST_SEED))
            for layer in fresh.modules():
                if callable(reset := getattr(layer, "reset_parameters", None)):
                    reset()
        return self.vector(fresh.state_dict())

    def predict(self, params: ArrayLike, inputs: ArrayLike) -> np.ndarray:
        """Return the class of highest score of each input, shape (samples,).

        Raises:
            InvalidInput: the module's scores are not finite, or not of shape (samples, classes).
        """
        return self._scores(params, inputs).argmax(dim=1).cpu().numpy()

    def accuracy(self, params: ArrayLike, inputs: ArrayLike, labels: ArrayLike) -> float:
        """Return the share of inputs, in [0, 1], whose class is the label."""
        return float(np.mean(self.predict(params, inputs) == np.asarray(labels)))

    def loss(self, params: ArrayLike, inputs: ArrayLike, labels: ArrayLike) -> float:
        """Return the mean cross-entropy in nats, the module in evaluation mode."""
        torch = _torch()
        scores = self._scores(params, inputs)
        wanted = torch.as_tensor(np.asarray(labels, dtype=np.int64), device=scores.device)
        return float(torch.nn.functional.cross_entropy(scores.double(), wanted))

    def descend(
        self,
        params: ArrayLike,
        inputs: ArrayLike,
        labels: ArrayLike,
        *,
        moments: Sequence[int],
        rate: float,
        weights: ArrayLike | None = None,
    ) -> Float[np.ndarray, "moments size"]:
        """Return the vectors after each of these numbers of optimiser steps on weighted samples."""
        torch = _torch()
        module = self._loaded(params).train()
        stepper = self._optimizer(module.parameters(), float(rate))
        rows = self._tensor(inputs)
        wanted = torch.as_tensor(np.asarray(labels, dtype=np.int64), device=rows.device)
        counted = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
        used, given = np.flatnonzero(counted > 0), torch.as_tensor(counted, device=rows.device)
        batch = max(1, min(self.batch or len(used), len(used)))
        draw, found, done, order = np.random.default_rng(0), [], 0, np.empty(0, dtype=int)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # of dropout, so that equal arguments give equal paths
            for moment in moments:
                while done < moment and len(used):
                    if len(order) < batch:
                        order = draw.permutation(used) if batch < len(used) else used
                    chosen, order = torch.as_tensor(order[:batch]), order[batch:]
                    self._step(module, stepper, rows[chosen], wanted[chosen], given[chosen])
                    done += 1
                found.append(self.vector(module.state_dict()))
        return np.stack(found)

    def _step(self, module: Any, stepper: Any, rows: Any, wanted: Any, counted: Any) -> None:
        torch = _torch()
        stepper.zero_grad()
        scores = self._checked(module(rows), len(rows))
        surprise = torch.nn.functional.cross_entropy(scores, wanted, reduction="none")
        counted = counted.to(surprise.dtype)
        ((counted * surprise).sum() / counted.sum()).backward()
        stepper.step()

    def _loaded(self, params: ArrayLike) -> Any:
        module = copy.deepcopy(self._module)
        module.load_state_dict(self.state_dict(params))
        return module.eval()

    def _scores(self, params: ArrayLike, inputs: ArrayLike) -> Any:
        torch = _torch()
        rows, state = self._tensor(inputs), self.state_dict(params)
        call = torch.func.functional_call
        with torch.no_grad():
            found = ((call(self._module, state, (part,)), len(part)) for part in torch.split(rows, CHUNK))
            parts = [self._checked(scores, count) for scores, count in found]
        scores = torch.cat(parts)
        if not bool(torch.isfinite(scores).all()):
            raise InvalidInput("the module's scores are not finite: expected finite numbers")
        return scores

    def _checked(self, scores: Any, count: int) -> Any:
        if not hasattr(scores, "shape") or tuple(scores.shape) != (count, self.classes):
            found = tuple(getattr(scores, "shape", ())) or type(scores).__name__
            raise InvalidInput(f"the module gave {found} for {count} inputs: expected ({count}, {self.classes})")
        return scores

    def _tensor(self, inputs: ArrayLike) -> Any:
        like = next(self._module.parameters())
        return _torch().as_tensor(np.asarray(inputs)).to(dtype=like.dtype, device=like.device)

    @staticmethod
    def _floating(state: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in state.items() if value.is_floating_point()}


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise BackendMissing("torch", "a PyTorch model", "torch") from error
    return torch


def _numpy(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)

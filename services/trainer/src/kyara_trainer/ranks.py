"""Several processes that do one run together (distributed data parallel): who does what, and what they tell each other.

Every rank draws the same batch, computes its share of it and makes the same update, so that all hold the same weights. Rank 0
alone validates, saves, keeps checkpoints and reports, and the others wait for it as long as it takes. An error of one is the
error of all: none is left waiting for a rank that has given up. A rank that dies is for Ray to see, which begins again.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import grpc
import torch
import torch.distributed as dist

from kyara_stage import StageError
from kyara_stage.errors import status_of

T = TypeVar("T")

PATIENCE = timedelta(days=2)
"""How long ranks wait for the one that encodes a large dataset. That it is dead they know at once, by its connection."""


class PeerLostError(Exception):
    """Another rank is gone, or the network between: all must begin again, from the last checkpoint."""


class _EndedTogetherError(StageError):
    """The error that ends all ranks, which all know of."""


@dataclass(frozen=True)
class _Failure:
    """What a rank that cannot go on tells in an answer's place: a status' code and message."""

    code: int
    message: str


class Ranks:
    """This process among those of its run. Unless it has joined others it is alone: nothing is told, and nothing waited for."""

    def __init__(self, rank: int = 0, count: int = 1, words: dist.ProcessGroup | None = None) -> None:
        self.rank = rank
        self.count = count
        # Words go by a group of their own: NCCL, by which gradients go, ends a process that waits for long.
        self._words = words

    @classmethod
    def joined(cls) -> "Ranks":
        """This process in torch's default process group, which must be there."""
        words = dist.new_group(backend="gloo", timeout=PATIENCE)
        assert isinstance(words, dist.ProcessGroup), "all ranks are in the group of all"
        return cls(dist.get_rank(), dist.get_world_size(), words)

    @property
    def leads(self) -> bool:
        """Whether this one validates, saves and reports."""
        return self.rank == 0

    def told(self, value: T) -> list[T]:
        """What each rank gives, by rank; waits for all. Raises the error of one that cannot go on, and PeerLostError."""
        if self.count == 1:
            return [value]
        answers: list[T | _Failure] = [value] * self.count
        try:
            dist.all_gather_object(answers, value, group=self._words)
        except RuntimeError as error:
            raise PeerLostError(f"rank {self.rank} has lost another: {error}") from error
        for answer in answers:
            if isinstance(answer, _Failure):
                raise _EndedTogetherError(_code_of(answer), answer.message)
        return [answer for answer in answers if not isinstance(answer, _Failure)]

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The block on rank 0, and when it is done on all others: they find in the store what it has put there."""
        if not self.leads:
            self.told(None)
        yield
        if self.leads:
            self.told(None)

    def sum_gradients(self, weights: Sequence[torch.nn.Parameter]) -> None:
        """Give every weight the sum of all ranks' gradients; none where no rank has any. Raises PeerLostError."""
        if self.count == 1:
            return
        device = weights[0].device
        # A rank whose share of a small batch is empty has no gradients, and cannot know which weights get none at all.
        there = torch.tensor([float(weight.grad is not None) for weight in weights], device=device)
        grads = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        whole = torch.cat([there, *(grad.flatten() for grad in grads)])
        try:
            dist.all_reduce(whole)
            counts, *sums = whole.split([len(weights), *(weight.numel() for weight in weights)])
            counted = counts.tolist()
        except RuntimeError as error:
            raise PeerLostError(f"rank {self.rank} has lost another: {error}") from error
        for weight, grad, count, total in zip(weights, grads, counted, sums, strict=True):
            weight.grad = grad.copy_(total.view_as(weight)) if count else None

    def together(self, work: Callable[[], T]) -> T:
        """`work`, done by all: it ends on none before it has ended on all, and its error on one is raised on all."""
        try:
            value = work()
        except (PeerLostError, _EndedTogetherError):
            raise
        except Exception as error:
            if self.count == 1:
                raise
            if not isinstance(error, StageError):
                traceback.print_exc()
            status = status_of(error)
            self.told(_Failure(status.code, status.message))
            raise
        self.told(None)
        return value


def _code_of(failure: _Failure) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == failure.code)

"""
The droplets' bodies: what the account says becomes true of the machines, also after a crash in between.

Work on one droplet is one after the other, in threads; the account is changed only when the machine has.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from cloudship.local.account import Account
from cloudship.local.account.actions import COMPLETED, ERRORED
from cloudship.local.account.clock import ClosedError
from cloudship.local.account.droplets import ACTIVE, NEW, OFF
from cloudship.local.errors import Refusal, unprocessable
from cloudship.local.faults.world import Marks, World
from cloudship.local.machines.base import Driver, DriverError, MachineSpec, MachineState
from cloudship.local.transitions import Transitions

log = logging.getLogger("cloudship.local")

PENDING = "Droplet already has a pending event."
CREATE_PATIENCE = 0.5  # seconds a POST waits for the machine to run, so that the first GET finds it active
SHUTDOWN_LIMIT = 10.0  # seconds that a machine gets to go down by itself before its power is taken
_PARALLEL = 8  # machines worked on at once
_THREADS = 64
_FAILURES = (DriverError, OSError, subprocess.SubprocessError)  # whatever a host may answer a driver


@dataclass(frozen=True)
class Work:
    """A body that is to be made, and what is decided about it."""

    droplet_id: int
    action_id: int
    marks: Marks


class Bodies:
    """Carries out on the machines what the API was asked."""

    def __init__(self, account: Account, driver: Driver, world: World) -> None:
        self._account, self._driver, self._world = account, driver, world
        self.transitions = Transitions()
        self._working = threading.BoundedSemaphore(_PARALLEL)  # threads may wait for the clock, the host is worked less
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="body")
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        self.network = driver.open()
        for moved in account.droplets.settle(self.network.subnet):
            log.warning("droplet %d got another address: somebody else has the subnet that it was in", moved)

    def restore(self) -> None:
        """Make machines and account agree again, after a stop or a crash."""
        for doomed in self._account.droplets.doomed():
            self._guarded(doomed, self._finish_destroying)
        ids = set(self._account.droplets.ids())
        for stray in self._driver.known() - ids:
            self._guarded(stray, self._driver.destroy)
        living = sorted(ids - self._account.droplets.doomed())
        futures = [self._threads.submit(self._restored, droplet_id) for droplet_id in living]
        wait(futures)
        self._account.actions.give_up()

    def suspend(self) -> None:
        """Finish what is under way, power everything off and take the network away; what was active will be again."""
        self._account.clock.close()
        self._threads.shutdown()  # a machine that is being made now would outlive us
        off = set(self._account.droplets.ids(OFF))
        ids = self._account.droplets.ids()
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="off") as threads:
            for found in ids:
                if found not in off:
                    threads.submit(self._off, self._account.droplets.spec(found))
        for stray in self._driver.known() - set(ids):
            self._guarded(stray, self._driver.destroy)
        self._driver.close()

    def _guarded(self, droplet_id: int, act: Callable[[int], None]) -> None:
        """Act on one machine; what the host refuses is tried again at the next start, and does not keep the others."""
        try:
            act(droplet_id)
        except _FAILURES:
            log.exception("droplet %d left something behind", droplet_id)

    def _finish_destroying(self, droplet_id: int) -> None:
        self._driver.destroy(droplet_id)
        self._account.droplets.forget(droplet_id)

    def _off(self, spec: MachineSpec) -> None:
        try:
            if not self._driver.shutdown(spec, limit_seconds=SHUTDOWN_LIMIT):
                self._driver.power_off(spec)
        except _FAILURES:
            log.exception("droplet %d could not be powered off", spec.droplet_id)

    def begin(self, ids: Sequence[int]) -> list[Work]:
        """Record that bodies are being made, in the transaction that records the droplets: none is there without it."""
        regions = [self._account.droplets.region(one) for one in ids]
        begun = [self._account.actions.begin("create", *one)["id"] for one in zip(ids, regions, strict=True)]
        return [Work(one, action, self._world.made(one)) for one, action in zip(ids, begun, strict=True)]

    def create(self, work: Sequence[Work]) -> None:
        """Make bodies side by side; waits a moment for all to run."""
        futures = [self._threads.submit(self._created, one) for one in work]
        if self.transitions.immediate:
            wait(futures, timeout=CREATE_PATIENCE)

    def act(self, droplet_id: int, kind: str) -> int:
        """
        Begin a power action, and give its id.

        Raises:
            Refusal: the droplet is gone, busy, or the action is unknown.
        """
        region = self._account.droplets.region(droplet_id)
        if kind not in self._acts():
            raise unprocessable(f"{kind} is not a valid Droplet action.")
        doomed = droplet_id in self._account.droplets.doomed()
        action = None if doomed else self._account.actions.begin_alone(kind, droplet_id, region)
        if action is None:
            raise unprocessable(PENDING)
        self._threads.submit(self._acted, droplet_id, kind, action["id"], fails=self._world.action_errors())
        return int(action["id"])

    def check_free(self, droplet_id: int) -> None:
        """
        Look that a droplet is there and nothing is under way with it.

        Raises:
            Refusal: there is none, or something is.
        """
        self._account.droplets.status(droplet_id)
        if self._account.actions.pending(droplet_id) or droplet_id in self._account.droplets.doomed():
            raise unprocessable(PENDING)

    def destroy(self, droplet_id: int) -> None:
        """
        Destroy a droplet and its body, at once or after its time; it is gone from the account once its body is.

        Raises:
            Refusal: there is none.
        """
        if self.transitions.delete > 0:
            until = self._account.clock.time() + self.transitions.delete
            self._account.droplets.doom(droplet_id)
            self._threads.submit(self._destroyed_later, droplet_id, until)
        else:
            self._destroy(droplet_id)

    def clear(self) -> None:
        """Destroy the bodies of all droplets, whatever is under way with them."""
        for droplet_id in {*self._account.droplets.ids(), *self._driver.known()}:
            with self._locks[droplet_id]:
                self._driver.destroy(droplet_id)
                self._account.droplets.forget(droplet_id)

    def _destroyed_later(self, droplet_id: int, until: float) -> None:
        try:
            self._account.clock.sleep_until(until)
            self._destroy(droplet_id)
        except ClosedError:
            return  # it is destroyed at the next start
        except (Refusal, *_FAILURES):
            log.exception("droplet %d could not be destroyed", droplet_id)

    def _destroy(self, droplet_id: int) -> None:
        with self._locks[droplet_id]:
            self._account.droplets.status(droplet_id)
            self._account.droplets.doom(droplet_id)  # a crash from here on does not bring it back with an empty disk
            try:
                self._finish_destroying(droplet_id)
            except _FAILURES:
                self._account.droplets.spare(droplet_id)  # it can be asked for again
                raise

    def refresh(self, droplet_id: int) -> None:
        """Notice a machine that was powered off from inside; a droplet that has gone meanwhile is passed over."""
        if not self._locks[droplet_id].acquire(blocking=False):
            return  # it is being worked on: whoever does so will say how it is
        try:
            settled = droplet_id in self._account.droplets.ids(ACTIVE) and not self._account.actions.pending(droplet_id)
            if settled and self._driver.state(droplet_id) is not MachineState.RUNNING:
                self._account.droplets.set_status(droplet_id, OFF)
        finally:
            self._locks[droplet_id].release()

    def _acts(self) -> dict[str, Callable[[int], None]]:
        return {
            "power_on": self._power_on,
            "power_off": self._power_off,
            "power_cycle": self._power_cycle,
            "reboot": self._reboot,
            "shutdown": self._shutdown,
        }

    def _created(self, work: Work) -> None:
        active_at = self._account.clock.time() + self.transitions.active
        droplet_id = work.droplet_id
        try:
            with self._working, self._locks[droplet_id]:
                spec = self._account.droplets.spec(droplet_id)
                self._driver.create(spec)
                self._driver.start(spec)
                if not work.marks.ssh:
                    self._driver.close_ssh(spec)
            self._account.clock.sleep_until(active_at)
        except Refusal:  # destroyed before its turn came
            self._account.actions.end(work.action_id, ERRORED)
        except ClosedError:
            return  # it is finished at the next start
        except _FAILURES:
            log.exception("droplet %d got no body", droplet_id)
            self._account.actions.end(work.action_id, ERRORED)
            self._forget(droplet_id)
        else:
            self._came_to_be(work)

    def _came_to_be(self, work: Work) -> None:
        with self._locks[work.droplet_id]:
            if work.marks.fails:
                self._account.actions.end(work.action_id, ERRORED)
                self._forget(work.droplet_id)
                return
            if self.transitions.address > 0:
                self._world.address_later(work.droplet_id, self.transitions.address)
            self._account.droplets.set_status(work.droplet_id, ACTIVE)
            self._account.actions.end(work.action_id, COMPLETED)

    def _acted(self, droplet_id: int, kind: str, action_id: int, *, fails: bool) -> None:
        until = self._account.clock.time() + self.transitions.action
        try:
            if not fails:
                with self._working, self._locks[droplet_id]:
                    self._acts()[kind](droplet_id)
            self._account.clock.sleep_until(until)
        except ClosedError:
            return
        except (*_FAILURES, Refusal):
            log.exception("droplet %d: %s failed", droplet_id, kind)
            self._account.actions.end(action_id, ERRORED)
        else:
            self._account.actions.end(action_id, ERRORED if fails else COMPLETED)

    def _power_on(self, droplet_id: int) -> None:
        self._driver.start(self._account.droplets.spec(droplet_id))
        self._account.droplets.set_status(droplet_id, ACTIVE)

    def _power_off(self, droplet_id: int) -> None:
        self._driver.power_off(self._account.droplets.spec(droplet_id))
        self._account.droplets.set_status(droplet_id, OFF)

    def _power_cycle(self, droplet_id: int) -> None:
        self._driver.power_off(self._account.droplets.spec(droplet_id))
        self._power_on(droplet_id)

    def _reboot(self, droplet_id: int) -> None:
        self._driver.reboot(self._account.droplets.spec(droplet_id))
        self._account.droplets.set_status(droplet_id, ACTIVE)

    def _shutdown(self, droplet_id: int) -> None:
        spec = self._account.droplets.spec(droplet_id)
        if self._driver.shutdown(spec, limit_seconds=SHUTDOWN_LIMIT):
            self._account.droplets.set_status(droplet_id, OFF)

    def _restored(self, droplet_id: int) -> None:
        """Finish one droplet that a crash left half-made, adopt one that runs, start one that should."""
        status = self._account.droplets.status(droplet_id)
        spec = self._account.droplets.spec(droplet_id)
        try:
            if status == NEW or self._driver.state(droplet_id) is MachineState.ABSENT:
                self._driver.destroy(droplet_id)
                self._driver.create(spec)
            if status != OFF or self._driver.state(droplet_id) is MachineState.RUNNING:  # it was just being powered on
                self._driver.start(spec)
                self._account.droplets.set_status(droplet_id, ACTIVE)
        except _FAILURES:
            log.exception("droplet %d could not be brought back", droplet_id)
            if status == NEW:  # its create failed, as it would have without the crash
                self._forget(droplet_id)
            else:
                self._account.droplets.set_status(droplet_id, OFF)
        else:
            self._account.actions.finish_create(droplet_id)

    def _forget(self, droplet_id: int) -> None:
        """Remove a droplet that never came to be; what its driver leaves is a stray to the next start."""
        self._account.droplets.forget(droplet_id)
        self._guarded(droplet_id, self._driver.destroy)

"""
What has outlived its time: found by tags and key names, judged object by object, taken down by the one way down.

An inventory comes first and nothing is destroyed while it is taken. Every launch is looked at once more when its turn
comes, and each of its objects right before its end: it may have been extended, or have answered, in between.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from cloudship import about, standing, tags, teardown
from cloudship.client import Client
from cloudship.errors import CloudError, CloudshipError, ConfigError, NotFound, ShipBusy
from cloudship.events import Noted, Notify, nobody
from cloudship.models import Destroyed, Droplet, Key, Kind, Left, Reaped, rfc3339
from cloudship.waiting import Clock

TakeDown = Callable[[str, str, teardown.Stays], tuple[Destroyed, ...]]
PENDING_GRACE = 3600  # seconds after which a key that no droplet of its launch followed is a dead launch's


@dataclass(frozen=True)
class Rule:
    """Who reaps, when, and what is spared besides."""

    owner: str
    now: float  # unix time
    older_than: float = 0.0  # seconds; narrows, never widens


@dataclass(frozen=True)
class Candidate:
    """One launch that is there, or a droplet of which nobody can say whose it is."""

    name: str  # the ship's; of such a droplet its own
    launch: str  # empty for such a droplet
    droplets: tuple[Droplet, ...]
    keys: tuple[Key, ...]

    @property
    def what(self) -> str:
        """Name its objects."""
        droplets = [f"droplet {one.id}" for one in self.droplets]
        return ", ".join([*droplets, *(f"key {one.id}" for one in self.keys)])


@dataclass(frozen=True)
class Verdict:
    """Whether a launch is to go, and why."""

    taken: bool
    reason: str


def candidates(client: Client) -> tuple[Candidate, ...]:
    """Take the inventory: every launch of cloudship in an account, whoever made it, and what is only tagged so."""
    droplets: dict[tuple[str, str], list[Droplet]] = {}
    for droplet in client.droplets(tag=tags.SHARED):
        found = tags.of(droplet)
        whose = (found.name, found.launch) if found is not None else (droplet.name, "")
        droplets.setdefault(whose, []).append(droplet)
    keys: dict[tuple[str, str], list[Key]] = {}
    for key in client.ssh_keys():
        named = tags.read_key_name(key.name)
        if named is not None:
            keys.setdefault((named.name, named.launch), []).append(key)
    return tuple(
        Candidate(name, launch, tuple(droplets.get((name, launch), ())), tuple(keys.get((name, launch), ())))
        for name, launch in sorted({*droplets, *keys})
    )


def judge(candidate: Candidate, rule: Rule) -> Verdict:
    """Decide about one launch; pure."""
    if not candidate.droplets:
        return _judge_keys(candidate, rule)
    verdicts = [_judge_droplet(one, rule) for one in candidate.droplets]
    return next((one for one in verdicts if not one.taken), verdicts[0])


def reap(
    client: Client,
    rule: Rule,
    take_down: TakeDown,
    *,
    dry_run: bool,
    told: Callable[[Reaped], None] = lambda _one: None,
    clock: Clock | None = None,
    alone: Callable[[str], AbstractContextManager[object]] = nullcontext,
) -> tuple[Reaped, ...]:
    """
    Take down every launch that has outlived its time.

    Args:
        client: the account.
        rule: who reaps, and when.
        take_down: takes one launch of a ship down and proves it gone, and asks of each object whether it is to stay.
        dry_run: only say what would go.
        told: hears of each launch as it is done with.
        clock: this machine's; where it differs from the cloud's, the cloud's is the rule's.
        alone: keeps everybody else on this machine away from a ship, or says who is at it.

    Raises:
        ConfigError: no owner, which would be everybody, or one that no tag can name.
    """
    if not tags.is_owner(rule.owner):
        raise ConfigError("reap needs an owner, as a tag names one: an empty one would be everybody")
    with about.phase(about.INVENTORY):
        found, done = candidates(client), []
    rule = rule if clock is None else replace(rule, now=client.now(clock))
    for candidate in found:
        done.append(_dealt_with(client, candidate, rule, take_down, alone, dry_run=dry_run))
        told(done[-1])
    return tuple(done)


def sweep_tags(
    client: Client,
    now: float,
    notify: Notify = nobody,
    *,
    told: Callable[[Reaped], None] = lambda _one: None,
    dry_run: bool = False,
) -> None:
    """
    Remove the tags of ends and deadlines that have passed and that nothing carries: a killed client leaves them.

    They are nobody's: what they stood for is gone, and a new launch makes later ones.

    Args:
        client: the account.
        now: unix time, by the cloud's clock.
        notify: hears of what cannot be removed.
        told: hears of each tag that is gone.
        dry_run: only say what would go.
    """
    past = [tag for tag in client.tags() if (moment := tags.moment_of(tag)) is not None and moment < now]
    carried = {tag for one in client.droplets() for tag in one.tags} if past else set()  # a listing by tag may lag
    for tag in past:
        try:
            if tag in carried or client.droplets(tag=tag):
                continue
            if not dry_run:
                client.delete_tag(tag)
        except CloudError as error:
            notify(Noted(text=f"the tag {tag}, which nothing carries, stays: {error}", warning=True))
        else:
            told(_swept(client, tag, now, dry_run=dry_run))


def _swept(client: Client, tag: str, now: float, *, dry_run: bool) -> Reaped:
    return Reaped(
        name=tag,
        launch="",
        cloud=client.cloud,
        what="a tag",
        taken=True,
        reason=f"its moment passed {_span(now - float(tags.moment_of(tag) or 0))} ago, and nothing carries it",
        destroyed=() if dry_run else (Destroyed(kind=Kind.TAG, id=tag),),
    )


def _dealt_with(
    client: Client,
    candidate: Candidate,
    rule: Rule,
    take_down: TakeDown,
    alone: Callable[[str], AbstractContextManager[object]],
    *,
    dry_run: bool,
) -> Reaped:
    verdict = judge(candidate, rule)
    if dry_run or not verdict.taken:
        return _outcome(client, candidate, verdict)
    try:
        with alone(candidate.name):
            return _taken(client, candidate, rule, take_down)
    except ShipBusy as error:
        return _outcome(client, candidate, Verdict(taken=False, reason=error.message))


def _taken(client: Client, candidate: Candidate, rule: Rule, take_down: TakeDown) -> Reaped:
    outcome = _outcome(client, candidate, judge(candidate, rule))
    try:
        outcome = _outcome(client, candidate, _seen_again(client, candidate, rule))
        if not outcome.taken:
            return outcome
        gone = take_down(candidate.name, candidate.launch, lambda one: _why_spared(one, candidate, rule))
        return outcome.model_copy(update={"destroyed": gone})
    except ShipBusy:
        raise
    except CloudshipError as error:
        left = error.left or tuple(Left(kind=kind, id=str(one.id)) for kind, one in _objects(candidate))
        return outcome.model_copy(update={"left": left, "reason": f"{outcome.reason}; {error}"})


def _outcome(client: Client, candidate: Candidate, verdict: Verdict) -> Reaped:
    price = client.cloud.billed(sum(one.price_hourly for one in candidate.droplets))
    return Reaped(
        name=candidate.name,
        launch=candidate.launch,
        cloud=client.cloud,
        what=candidate.what,
        taken=verdict.taken,
        reason=verdict.reason,
        price_hourly=price,
    )


def _seen_again(client: Client, candidate: Candidate, rule: Rule) -> Verdict:
    """
    Judge once more, right before the end: each droplet is read by its id, and looked for by its name where only a key
    was seen. What is gone meanwhile is left to the teardown, which counts it so.
    """
    again = []
    for droplet in candidate.droplets:
        try:
            again.append(client.droplet(droplet.id))
        except NotFound:
            again.append(droplet)
    named = tags.droplet_name(candidate.name, candidate.launch)
    if not again and any(one.name == named for one in client.droplets(name=named)):
        return Verdict(taken=False, reason="a droplet of its name is there, whose tags do not say whose it is")
    return judge(Candidate(candidate.name, candidate.launch, tuple(again), candidate.keys), rule)


def _why_spared(seen: Droplet | Key, candidate: Candidate, rule: Rule) -> str | None:
    """Judge one object of a launch as it is right before its end."""
    if isinstance(seen, Droplet):
        verdict = _judge_droplet(seen, rule)
        return None if verdict.taken else verdict.reason
    named = tags.read_key_name(seen.name)
    is_its = named is not None and (named.name, named.launch) == (candidate.name, candidate.launch)
    return None if is_its else "its name is no longer the one that the launch gave it"


def _judge_droplet(droplet: Droplet, rule: Rule) -> Verdict:
    found = tags.of(droplet)
    if found is None:
        return Verdict(taken=False, reason=f"its tags are not what a launch of cloudship writes{_who_takes(droplet)}")
    if found.owner != rule.owner.lower():
        return Verdict(taken=False, reason=f"it is {found.owner}'s, not {rule.owner}'s")
    expired = standing.has_ended(found, rule.now)
    if not standing.is_dead(found, rule.now) and not expired:
        return Verdict(taken=False, reason=_why_it_stays(found))
    age = rule.now - droplet.created_at.timestamp()
    if age < rule.older_than:
        return Verdict(taken=False, reason=f"it is {_span(age)} old, younger than asked for")
    if expired:
        return Verdict(taken=True, reason=f"it expired {_span(rule.now - float(found.expires or 0))} ago")
    return Verdict(taken=True, reason=f"its launch died: no answer by {rfc3339(found.pending)}")


def _who_takes(droplet: Droplet) -> str:
    """Say who takes a droplet of ours that has lost its tags, as one that came back after its end."""
    named = tags.read_droplet_name(droplet.name)
    return f"; if it was launched here: cloudship down {named.name}" if named is not None else ""


def _why_it_stays(found: tags.ShipTags) -> str:
    if found.pending is not None:
        return f"its launch is under way until {rfc3339(found.pending)}"
    until = None if found.expires is None else rfc3339(found.expires)
    return f"it may live until {until}, and then until the next reap" if until else "it has no ttl"


def _judge_keys(candidate: Candidate, rule: Rule) -> Verdict:
    named = [found for one in candidate.keys if (found := tags.read_key_name(one.name)) is not None]
    age = rule.now - max(one.created for one in named)
    if age < max(PENDING_GRACE, rule.older_than):
        return Verdict(taken=False, reason=f"the key is {_span(age)} old: its droplet may still come")
    return Verdict(taken=True, reason=f"its launch died {_span(age)} ago: the key never got a droplet, or lost it")


def _objects(candidate: Candidate) -> list[tuple[Kind, Droplet | Key]]:
    return [*((Kind.DROPLET, one) for one in candidate.droplets), *((Kind.KEY, one) for one in candidate.keys)]


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

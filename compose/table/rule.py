"""The attribute rule, and functions that build the entries of attribute tables."""

from __future__ import annotations

from dataclasses import dataclass

from compose.read.tree import Scalar


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """What an attribute accepts. `kinds`: names of compose/read/value_kinds.py, of which the first that fits is used;
    `one_of`: the allowed strings.
    """

    kinds: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    refusal: str = ""
    """Why the attribute is refused, and what to do instead; "" when it is honoured."""
    harmless: tuple[Scalar, ...] = ()
    """Values of a refused attribute that are accepted, because they ask for what happens anyway."""
    note: str = ""
    """A note shown when the attribute is used, because its effect may surprise."""
    how: str = ""
    """How the attribute differs from Docker Compose, for the reference page; "" when it does not."""
    required: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """The status on the reference page."""
        if self.refusal:
            return "refused"
        return "differently" if self.how or self.note else "honoured"


Table = dict[str, AttributeRule]


def takes(kinds: str, *one_of: str, note: str = "", how: str = "", required: tuple[str, ...] = ()) -> AttributeRule:
    """An honoured attribute."""
    return AttributeRule(tuple(kinds.split("|")), one_of, note=note, how=how, required=required)


def refused(reason: str, *harmless: Scalar) -> AttributeRule:
    """An attribute that is refused by name."""
    return AttributeRule(refusal=reason, harmless=harmless)


def refused_whole(path: str, reason: str, *parts: str) -> Table:
    """An attribute that is refused with everything below it."""
    return {path: refused(reason)} | {f"{path}.{part}": refused(reason) for part in parts}


def strings(path: str, how: str = "", note: str = "") -> Table:
    """An attribute that is a list of strings."""
    return {path: takes("list|null", how=how, note=note), f"{path}.[]": takes("scalar")}


def one_or_more(path: str, how: str = "") -> Table:
    """An attribute that is a string or a list of strings."""
    return {path: takes("list|scalar|null", how=how), f"{path}.[]": takes("scalar")}


def assignments(path: str, how: str = "") -> Table:
    """An attribute that is a mapping or a list of KEY=VALUE."""
    return {path: takes("map|list|null", how=how), f"{path}.*": takes("scalar|null"), f"{path}.[]": takes("scalar")}


def options(path: str, how: str = "") -> Table:
    """An attribute that is a mapping of strings."""
    return {path: takes("map|null", how=how), f"{path}.*": takes("scalar|null")}


def external(path: str) -> Table:
    """`external`: a boolean, or the old form with a name."""
    return {path: takes("map|boolean"), f"{path}.name": takes("string")}


def hosts(path: str) -> Table:
    """An attribute that maps names to addresses, or lists "name:address" items."""
    return {
        path: takes("map|list"),
        f"{path}.[]": takes("string"),
        f"{path}.*": takes("list|string"),
        f"{path}.*.[]": takes("string"),
    }


def ulimits(path: str) -> Table:
    """Process limits: one number, or soft and hard."""
    return {
        path: takes("map"),
        f"{path}.*": takes("map|integer", required=("soft", "hard")),
        f"{path}.*.soft": takes("integer"),
        f"{path}.*.hard": takes("integer"),
    }


def files(path: str) -> Table:
    """Uses of secrets or configs, in short or long form."""
    return {
        path: takes("list|null"),
        f"{path}.[]": takes("map|string", required=("source",)),
        f"{path}.[].source": takes("string"),
        f"{path}.[].target": takes("string"),
        f"{path}.[].uid": takes("scalar"),
        f"{path}.[].gid": takes("scalar"),
        f"{path}.[].mode": takes("mode"),
    }


def hook(path: str) -> Table:
    """A command to run in a container. `path` is that of the hook."""
    return {
        path: takes("map", required=("command",)),
        **one_or_more(f"{path}.command"),
        f"{path}.user": takes("scalar"),
        f"{path}.privileged": takes("boolean"),
        f"{path}.working_dir": takes("string"),
        **assignments(f"{path}.environment"),
    }


_NO_OPTIONS = "there are no options of device drivers; the CDI files of the hosts say how devices are given"


def device_requests(path: str, *others: str) -> Table:
    """Requests of devices by capability."""
    return {
        path: takes("|".join(["list", *others])),
        f"{path}.[]": takes("map"),
        **strings(f"{path}.[].capabilities"),
        f"{path}.[].count": takes("integer|string"),
        **strings(f"{path}.[].device_ids"),
        f"{path}.[].driver": takes("string"),
        **refused_whole(f"{path}.[].options", _NO_OPTIONS, "*", "[]"),
    }


def under(prefix: str, table: Table) -> Table:
    """The table with the prefix in front of every path."""
    return {f"{prefix}.{path}": rule for path, rule in table.items()}

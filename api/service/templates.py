"""Where a service's spec may hold templates, what they may say, and a container's spec with all of them expanded. Pure.

Hostname, the values of environment variables, and of mounts the source, the target, and the volume's labels and driver
options (swarmkit template/expand.go). The managers check them with an example; each host expands them for its tasks.

The language is Go's (kit/templates/go_template.py), with Swarm's function `join`, whose separator comes first:
`{{.Node.Hostname}}`, `{{join "-" .Service.Name .Task.Slot}}`. As in Docker a missing field or key is an error, and so
is a value that is no text: what it has is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from api.codec import Value
from api.errors import Invalid
from api.service.container import ContainerSpec, Mount
from api.service.service_spec import ServiceSpec
from kit.templates.go_template import BadTemplate, is_template, render, shown


class TemplateContext(Value, frozen=True):
    """What templates can say of a task."""

    service_id: str = ""
    service_name: str = ""
    service_labels: dict[str, str] = {}
    node_id: str = ""
    hostname: str = ""
    architecture: str = ""
    os: str = "linux"
    task_id: str = ""
    task_name: str = ""
    slot: int = 0
    """0 for a task bound to its node; the node's id stands for the slot then, as in Docker."""

    @property
    def fields(self) -> dict[str, Any]:
        """As templates name them."""
        return {
            "Service": {"ID": self.service_id, "Name": self.service_name, "Labels": self.service_labels},
            "Node": {
                "ID": self.node_id,
                "Hostname": self.hostname,
                "Platform": {"Architecture": self.architecture, "OS": self.os},
            },
            "Task": {"ID": self.task_id, "Name": self.task_name, "Slot": str(self.slot or self.node_id)},
        }


def has_templates(spec: ContainerSpec) -> bool:
    """Whether anything of the spec is a template; most have none."""
    return any(is_template(text) for _, text in _places("", spec))


def expanded(spec: ContainerSpec, context: TemplateContext) -> ContainerSpec:
    """The spec for one task. Raises Invalid."""
    fields = context.fields
    return mapped(spec, lambda text: expand(text, fields)) if has_templates(spec) else spec


def mapped(spec: ContainerSpec, change: Callable[[str], str]) -> ContainerSpec:
    """The spec with every text changed that may be a template."""
    return replace(
        spec,
        hostname=change(spec.hostname),
        env=[_changed_variable(entry, change) for entry in spec.env],
        mounts=[_changed_mount(mount, change) for mount in spec.mounts],
    )


def example(spec: ServiceSpec) -> ServiceSpec:
    """The spec as one of its tasks might have it, to check what comes of its templates. Raises Invalid."""
    container = expanded(spec.task_template.container_spec, _example_context(spec))
    return replace(spec, task_template=replace(spec.task_template, container_spec=container))


def template_problems(spec: ServiceSpec) -> Iterator[str]:
    """Templates that cannot be expanded, each with its path."""
    container = spec.task_template.container_spec
    if not has_templates(container):
        return
    fields = _example_context(spec).fields
    for path, text in _places("TaskTemplate.ContainerSpec", container):
        try:
            expand(text, fields)
        except Invalid as error:
            yield f"{path}: {error}"


def is_foreign(text: str) -> bool:
    """Whether a text with braces is another program's template: it says nothing of a service, node or task."""
    return is_template(text) and not _OURS.search(text) and not _expands(text)


def _expands(text: str) -> bool:
    try:
        expand(text, TemplateContext().fields)
    except Invalid:
        return False
    return True


_OURS = re.compile(r"\{\{[^}]*\.(Service|Node|Task)\b")


def _example_context(spec: ServiceSpec) -> TemplateContext:
    return TemplateContext(
        "serviceid", spec.name or "service", spec.labels, "nodeid", "host", "x86_64", "linux", "taskid", "task", 1
    )


def _places(path: str, spec: ContainerSpec) -> Iterator[tuple[str, str]]:
    yield f"{path}.Hostname", spec.hostname
    for number, entry in enumerate(spec.env):
        yield f"{path}.Env[{number}]", entry.partition("=")[2]
    for number, mount in enumerate(spec.mounts):
        here = f"{path}.Mounts[{number}]"
        yield f"{here}.Source", mount.source
        yield f"{here}.Target", mount.target
        if options := mount.volume_options:
            for name, text in options.labels.items():
                yield f"{here}.VolumeOptions.Labels.{name}", text
            for name, text in options.driver_config.options.items() if options.driver_config else ():
                yield f"{here}.VolumeOptions.DriverConfig.Options.{name}", text


def _changed_variable(entry: str, change: Callable[[str], str]) -> str:
    name, equals, text = entry.partition("=")
    return f"{name}{equals}{change(text)}"


def _changed_mount(mount: Mount, change: Callable[[str], str]) -> Mount:
    options = mount.volume_options
    if options is not None:
        driver = options.driver_config
        options = replace(
            options,
            labels={name: change(text) for name, text in options.labels.items()},
            driver_config=driver and replace(driver, options={k: change(text) for k, text in driver.options.items()}),
        )
    return replace(mount, source=change(mount.source), target=change(mount.target), volume_options=options)


Fields = Mapping[str, Any]
"""Nested by name; the leaves are strings."""
Function = Callable[..., str]


def expand(text: str, fields: Fields, functions: Mapping[str, Function] | None = None) -> str:
    """The text with every action replaced by its value. Raises Invalid with one sentence that names the action."""
    if not is_template(text):
        return text
    try:
        return render(text, fields, {"join": _join, **(functions or {})}, _text)
    except BadTemplate as error:
        raise Invalid(str(error)) from None


def literal(text: str) -> str:
    """A template that comes to just this text."""
    return text.replace("{{", '{{"{{"}}')


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        there = ", ".join(f".{name}" for name in sorted(value)) or "none"
        raise BadTemplate(f"template: the value is no text but has fields: {there}")
    return shown(value)


def _join(separator: str, *items: str) -> str:
    return separator.join(map(shown, items))

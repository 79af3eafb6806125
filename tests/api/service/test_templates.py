"""Templates of services: what they may say, and how they are refused."""

from __future__ import annotations

import pytest

from api.errors import Invalid
from api.service.container import ContainerSpec, Driver, Mount, VolumeOptions
from api.service.service_spec import ServiceSpec, TaskSpec
from api.service.templates import TemplateContext, expand, expanded, template_problems

CONTEXT = TemplateContext(
    "s1", "web", {"tier": "front", "a.b": "dotted"}, "n1", "host1", "x86_64", "linux", "t1", "web.2.t1", 2
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{.Service.Name}}-{{.Task.Slot}}-{{.Node.Hostname}}", "web-2-host1"),
        ("{{ .Service.ID }}/{{.Task.ID}}/{{.Task.Name}}/{{.Node.ID}}", "s1/t1/web.2.t1/n1"),
        ("{{.Node.Platform.OS}}/{{.Node.Platform.Architecture}}", "linux/x86_64"),
        ("{{.Service.Labels.tier}}", "front"),
        ('{{index .Service.Labels "a.b"}}', "dotted"),
        ('{{join "-" .Service.Name .Task.Slot}}', "web-2"),
        ('{{.Service.Name | join "_" "x"}}', "x_web"),
        ('{{join "/" (join "-" "a" "b") `c"d`}}', 'a-b/c"d'),
        ('{{printf "%s:%d%%" .Service.Name 7}}', "web:7%"),
        ("a  {{- /* nothing */ -}}  b", "ab"),
        ('{{"}"}} }} {', "} }} {"),
        ('{{if eq .Task.Slot "2"}}two{{else}}other{{end}}', "two"),
        ("{{range $key, $value := .Service.Labels}}{{$key}}={{$value}};{{end}}", "a.b=dotted;tier=front;"),
        ("{{with .Node}}{{.Hostname}}{{end}}", "host1"),
    ],
)
def test_actions_are_replaced_by_their_values(text: str, value: str) -> None:
    assert expand(text, CONTEXT.fields) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Service.Nam}}", "there is no .Service.Nam; there is .Service.ID, .Service.Labels, .Service.Name"),
        ("{{.Service.Labels.none}}", "there is no .Service.Labels.none"),
        ("{{.Task.Labels.secret}}", "there is no .Task.Labels"),
        ("{{.Node}}", "the value is no text but has fields"),
        ("{{.Node.ID.x}}", ".Node.ID is a text and has no field x"),
        ("{{if .Node.ID}}x", "{{if …}} lacks its {{end}}"),
        ("{{upper .Node.ID}}", "there is no function 'upper'; there is and, eq, ge, gt, index, join, le, len"),
        ("{{join}}", "join does not take 0 arguments"),
        ("{{}}", "a value is missing"),
        ("{{.Node.ID", "an action is not closed"),
        ("{{$x}}", "there is no variable $x"),
        ("{{Service.Name}}", "there is no function 'Service'"),
        ("{{.Task.ID .Task.Name}}", "'.Task.Name' was not expected"),
        ('{{(join "a" "b"}}', "')' is missing"),
        ('{{printf "%d" .Node.Hostname}}', "%d does not fit 'host1'"),
        ('{{index .Service.Labels "z"}}', "there is no key 'z'"),
    ],
)
def test_what_cannot_be_expanded_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(Invalid) as error:
        expand(text, CONTEXT.fields)
    assert message in str(error.value)


def test_a_caller_can_add_functions() -> None:
    assert expand('{{env "X"}}', {}, {"env": lambda name: f"value of {name}"}) == "value of X"


def test_hostname_env_values_and_mounts_are_expanded() -> None:
    slot = "{{.Task.Slot}}"
    options = VolumeOptions(labels={"slot": slot}, driver_config=Driver("local", {"o": f"size={slot}m"}))
    spec = ContainerSpec(
        hostname="{{.Service.Name}}-" + slot,
        env=["{{X}}=a", f"SLOT={slot}", "BARE"],
        mounts=[Mount(type="volume", source=f"data-{slot}", target=f"/data/{slot}", volume_options=options)],
        args=[slot],
    )
    made = expanded(spec, CONTEXT)
    assert (made.hostname, made.env, made.args) == ("web-2", ["{{X}}=a", "SLOT=2", "BARE"], [slot])
    (mount,) = made.mounts
    assert (mount.source, mount.target) == ("data-2", "/data/2")
    assert mount.volume_options == VolumeOptions(labels={"slot": "2"}, driver_config=Driver("local", {"o": "size=2m"}))


def test_the_slot_of_a_task_bound_to_a_node_is_the_node_s_id() -> None:
    assert expand("{{.Task.Slot}}", TemplateContext(node_id="n1").fields) == "n1"


def test_problems_have_the_path_of_the_field() -> None:
    container = ContainerSpec(image="a", hostname="{{.Nod.ID}}", env=["A=1", "B={{.Service.Labels.x}}"])
    spec = ServiceSpec("web", {}, TaskSpec(container))
    assert [problem.partition(": ")[0] for problem in template_problems(spec)] == [
        "TaskTemplate.ContainerSpec.Hostname",
        "TaskTemplate.ContainerSpec.Env[1]",
    ]

"""The part of Go's templates that --format has."""

from __future__ import annotations

import pytest

from cli.show.format_templates import BadTemplate, render

PORTS = [{"Target": 80}, {"Target": 81}]
VALUE = {"Name": "web", "Ports": PORTS, "Labels": {"a": "1"}, "Up": True, "None": None, "No": []}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "web"),
        ("{{ .Name }}/{{ .Up }}", "web/true"),
        ("{{.Name}}\\t{{.None}}", "web\t<no value>"),
        ("{{json .Labels}}", '{"a":"1"}'),
        ("{{.Labels | json}}", '{"a":"1"}'),
        ('{{index .Labels "a"}}', "1"),
        ("{{len .Ports}}", "2"),
        ("{{range .Ports}}{{.Target}};{{$.Name}} {{end}}", "80;web 81;web "),
        ("{{range .No}}x{{else}}none{{end}}", "none"),
        ("{{if .Up}}up{{else}}down{{end}}", "up"),
        ("{{if .No}}a{{else}}{{if .Up}}b{{end}}{{end}}!", "b!"),
        ("{{upper .Name}} {{truncate .Name 2}}", "WEB we"),
        ("{{.Ports}}", "[map[Target:80] map[Target:81]]"),
    ],
)
def test_templates(template: str, text: str) -> None:
    assert render(template, VALUE) == text


@pytest.mark.parametrize(
    "template", ["{{.Nam}}", "{{range .Ports}}", "{{}}", "{{frobnicate .Name}}", "{{.Name .Up}}", "{{.Name.First}}"]
)
def test_what_is_not_understood_is_told(template: str) -> None:
    with pytest.raises(BadTemplate):
        render(template, VALUE)

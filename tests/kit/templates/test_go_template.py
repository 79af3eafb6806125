"""Go's templates: the results are those of Go's own text/template."""

from __future__ import annotations

import pytest

from kit.templates.go_template import BadTemplate, render

VALUE = {
    "Name": "web", "Slot": "2", "N": 3, "Zero": 0, "Pi": 3.14159, "Yes": True, "Nil": None, "Empty": "",
    "List": ["a", "b", "c"], "None": [], "Map": {"k": "v", "a": {"b": "deep"}}, "Nested": [[1, 2], [3]],
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("no braces } }} {", "no braces } }} {"),
        ("{{.Name}} {{ .Slot }}", "web 2"),
        ("{{.}}", None),
        ("{{.Nil}}|{{.Yes}}|{{.List}}|{{.Map}}", "<no value>|true|[a b c]|map[a:map[b:deep] k:v]"),
        ("{{.Map.a.b}} {{$.Map.a.b}} {{(index .Map `a`).b}}", "deep deep deep"),
        ("{{if .Yes}}y{{end}}{{if .Zero}}n{{else}}z{{end}}", "yz"),
        ('{{if eq .Slot "1"}}a{{else if eq .Slot "2"}}b{{else}}c{{end}}!', "b!"),
        ('{{if eq .Slot "7"}}a{{else if eq .Slot "8"}}b{{else if .Nil}}x{{else}}c{{end}}!', "c!"),
        ("{{range .List}}{{.}},{{end}}", "a,b,c,"),
        ("{{range $i, $v := .List}}{{$i}}{{$v}} {{end}}", "0a 1b 2c "),
        ("{{range $v := .List}}{{$v}}{{end}}", "abc"),
        ("{{range .None}}x{{else}}nothing{{end}}", "nothing"),
        ("{{range $k, $v := .Map.a}}{{$k}}={{$v}}{{end}}", "b=deep"),
        ("{{range .Nested}}{{range .}}{{.}}{{end}};{{end}}", "12;3;"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range .List}}{{if eq . `b`}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
        ("{{range .List}}{{if eq . `b`}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{with .Map.a}}{{.b}}{{end}}{{with .Empty}}x{{else}}none{{end}}", "deepnone"),
        ("{{$x := .Name}}{{$x}}-{{$x}}", "web-web"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}", "1"),
        ("{{with $y := .Name}}{{$y}}{{end}}", "web"),
        ("a  {{- /* c */ -}}  b", "ab"),
        ("a {{- .Name -}} b", "awebb"),
        ("{{/* only */}}x", "x"),
        ('{{"}}"}}{{`{{`}}', "}}{{"),
        ("{{'a'}} {{-3}} {{1.5}} {{true}}", "97 -3 1.5 true"),
        ("{{and .Yes .Name}} {{and .Zero .Missing}} {{or .Empty .Name}} {{or .Yes .Missing}} {{not .Yes}}", None),
        ("{{lt 1 2}}{{le 2 2}}{{gt .N 2}}{{ge 1 2}}{{ne .Name `x`}}", "truetruetruefalsetrue"),
        ("{{eq .N 1 2 3}}", "true"),
        ("{{len .List}}{{len .Name}}", "33"),
        ("{{index .List 1}} {{index .Nested 0 1}}", "b 2"),
        ("{{slice .Name 1}} {{slice .List 0 2}}", "eb [a b]"),
        ("{{print 1 2 `x` 3}}|{{println .Name 1}}", "1 2x3|web 1\n"),
        ('{{printf "%s %q %d %05d %x %v %t %.2f %5s|%-5s|%%" .Name .Name 7 7 255 .List true .Pi "ab" "ab"}}', None),
        ('{{.Name | printf "%s-%s" "a"}}', "a-web"),
        ('{{"x" | print | len}}', "1"),
    ],
)
def test_templates(template: str, text: str | None) -> None:
    if template == "{{.}}":
        assert render(template, 5) == "5"
    elif template.startswith("{{and"):
        assert render(template, VALUE) == "web 0 web true false"
    elif "%05d" in template:
        assert render(template, VALUE) == 'web "web" 7 00007 ff [a b c] true 3.14    ab|ab   |%'
    else:
        assert render(template, VALUE) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Nam}}", r"there is no \.Nam; there is \.Empty, "),
        ("{{.Name.First}}", r"\.Name is a text and has no field First"),
        ("{{", "an action is not closed"),
        ("{{.Name", "an action is not closed"),
        ("{{}}", "a value is missing"),
        ("{{end}}", "there is no block to end"),
        ("{{else}}", "no block that it could belong to"),
        ("{{if .Yes}}", r"\{\{if …\}\} lacks its \{\{end\}\}"),
        ("{{if .Yes}}a{{else}}b{{else}}c{{end}}", "no block that it could belong to"),
        ("{{range .N.x}}{{end}}", "has no field x"),
        ("{{range .Name}}{{end}}", "range can't go over 'web'"),
        ("{{$y}}", r"there is no variable \$y"),
        ("{{frob 1}}", "there is no function 'frob'"),
        ("{{len}}", "len does not take 0 arguments"),
        ("{{index .List 9}}", "there is no item 9"),
        ("{{index .Map `x`}}", "there is no key 'x'"),
        ("{{eq .Name 1}}", "are of different kinds"),
        ("{{.Name .Slot}}", "'.Slot' was not expected"),
        ("{{.Name | .Slot}}", "must be a function"),
        ("{{(len .List}}", r"'\)' is missing"),
        ("{{template `x`}}", "'template' is not supported"),
        ("{{printf `%z` 1}}", "%z does not fit"),
        ("{{printf `%s`}}", "asks for more values"),
        ("{{printf `%999999s` .Name}}", "is wider than"),
        ("{{break}}", "stand in a range"),
        ("{{;}}", "cannot read ';'"),
        ("{{range 99999}}{{range 99999}}{{end}}{{end}}", "go round more than"),
        ("{{range 99999}}" + "x" * 1000 + "{{end}}", "more than 1048576 characters"),
        ("{{if true}}" * 200 + "{{end}}" * 200, "nested more than 100 deep"),
        ("{{" + "(" * 500 + "1" + ")" * 500 + "}}", "nested more than 100 deep"),
    ],
)
def test_errors_are_one_sentence(template: str, message: str) -> None:
    with pytest.raises(BadTemplate, match=message):
        render(template, VALUE)

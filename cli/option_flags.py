"""Flags that may be given a value after "=", as Go's are: `--detach`, `--detach=false`, never `--detach false`."""

from __future__ import annotations

import click


class FlagCommand(click.Command):
    """A command with options whose value is optional: they take none from the next argument."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, after each such option without a value got its default."""
        return super().parse_args(ctx, [*self._with_values(ctx, args)])

    def _with_values(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = {name: option for option in self.params if isinstance(option, click.Option) for name in option.opts}
        done: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            if word == "--" or (not word.startswith("-") and not ctx.allow_interspersed_args):
                return [*done, word, *rest]
            option = options.get(word)
            if option is None or option.is_flag or option.count:
                done.append(word)
            elif isinstance(option.flag_value, str):
                done.append(f"{max(option.opts, key=len)}={option.flag_value}")
            else:
                done += [word, *rest[:1]]
                rest = rest[1:]
        return done

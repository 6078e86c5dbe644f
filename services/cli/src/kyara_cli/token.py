"""`kyara token`: a token for a caller of a Kyara that asks for one."""

from pathlib import Path
from typing import Annotated

import typer

from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import AsJson
from kyara_cli.output import print_json
from kyara_rpc.tokens import Role, sign

DAY_S = 86_400.0


def token(
    key: Annotated[Path, typer.Option(help="The secret, or the PEM private key, whose other half `auth_key` of jobs names.")],
    subject: Annotated[str, typer.Option(help="Who will show the token; the audit log has this name.")],
    role: Annotated[list[Role], typer.Option(help="What it allows; submit may read too, and admin may all, for all tenants.")],
    tenant: Annotated[str, typer.Option(help="Whose jobs it is for.")] = "default",
    days: Annotated[float, typer.Option(min=0.001, max=366, help="How long it is good for.")] = 30,
    audience: Annotated[str, typer.Option(help="As `auth_audience` of jobs.")] = "kyara",
    as_json: AsJson = False,
) -> None:
    """Write a token to standard output; whoever has it is that subject until it expires."""
    try:
        signed = sign(key, audience, subject, tenant, role, days * DAY_S)
    except ValueError as error:
        raise CommandError(Exit.INVALID, str(error)) from error
    if as_json:
        print_json({"token": signed})
    else:
        print(signed)

"""`stemma billing`: what licensees declare, order, are invoiced and pay in advance."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from stemma.cli.money import MICRO, money, say, table
from stemma.cli.portal_client import Portal
from stemma.errors import InvalidError, NotFoundError, ProofError

app = typer.Typer()

Who = Annotated[str, typer.Argument(help="Identifier or short name of the organisation.")]
Invoice = Annotated[str, typer.Argument(help="Number of the invoice, such as S-2026-000001, or its identifier.")]


@app.command("quote")
def quote(
    organisation: Who,
    tier: Annotated[str, typer.Argument(help="Tier of the covenant in force.")],
    months: Annotated[int, typer.Option(help="For how many months.")] = 12,
    seats: Annotated[int, typer.Option(help="For how many people, where the tier has a price per seat.")] = 0,
    renews: Annotated[
        str | None, typer.Option(help="License that it is to go on with, under the version that this one holds.")
    ] = None,
) -> None:
    """What a license would cost, with tax; it binds nobody until it is ordered."""
    portal = Portal()
    body = {
        "organisation": _organisation(portal, organisation), "tier": tier, "months": months, "seats": seats,
        "renews": renews,
    }  # fmt: skip
    made = portal.post("billing/quotes", body)
    rows = table("what for", made["currency"], right=(made["currency"],))
    for line in made["lines"]:
        rows.add_row(escape(line["title"]), money(line["amount"]))
    rows.add_row("tax", money(made["tax"]))
    rows.add_row("[bold]total[/]", money(made["total"]))
    say(rows)
    say(f"Quote [bold]{made['id']}[/] holds until {made['valid_until'][:10]}.")


@app.command("order")
def order(quote: Annotated[str, typer.Argument(help="Identifier of the quote.")]) -> None:
    """Accept a quote: it is invoiced at once, and licensed when that is paid."""
    portal = Portal()
    made = portal.post(f"billing/quotes/{quote}/order")
    say(f"Order [bold]{made['id']}[/] is {made['state']}.")
    for identifier in made["invoices"]:
        found = portal.get(f"billing/invoices/{identifier}")
        say(f"Pay {money(found['open'], found['currency'])} with the reference [bold]{found['reference']}[/].")


@app.command("orders")
def orders() -> None:
    """Orders, newest first."""
    rows = table("order", "state", "placed", "license")
    for found in Portal().items("billing/orders"):
        rows.add_row(found["id"], found["state"], found["created_at"][:10], found["license"] or "–")
    say(rows)


@app.command("invoices")
def invoices(unpaid: Annotated[bool, typer.Option("--open", help="Only what is not settled.")] = False) -> None:
    """Invoices, newest first."""
    rows = table("invoice", "for", "issued", "total", "open", "reference", right=("total", "open"))
    for found in Portal().items("billing/invoices"):
        if found["open"] > 0 or not unpaid:
            rows.add_row(
                found["name"], found["kind"], found["issued_at"][:10], money(found["total"], found["currency"]),
                money(found["open"], found["currency"]), found["reference"],
            )  # fmt: skip
    say(rows)


@app.command("invoice")
def invoice(
    invoice: Invoice,
    to: Annotated[Path | None, typer.Option(help="File to save it to, .pdf or .xml (UBL).")] = None,
) -> None:
    """The lines of an invoice, or its file."""
    portal = Portal()
    found = _invoice(portal, invoice)
    if to is not None:
        if to.suffix not in {".pdf", ".xml"}:
            raise InvalidError(f"{to} is neither .pdf nor .xml.", remedy="Name the file by what it is to hold.")
        to.write_bytes(portal.fetch(f"billing/invoices/{found['id']}{to.suffix}"))
        say(f"{found['name']} is in {to}.")
        return
    rows = table("what for", found["currency"], "facts", right=(found["currency"], "facts"))
    for line in found["lines"]:
        rows.add_row(escape(line["title"]), money(line["amount"]), str(line["trace"].get("facts", "")))
    rows.add_row("rounding", money(found["rounding"]), "")
    rows.add_row("tax", money(found["tax"]), "")
    rows.add_row("[bold]total[/]", money(found["total"]), "")
    rows.add_row("paid", money(found["paid"]), "")
    rows.add_row("credited", money(found["credited"]), "")
    rows.add_row("[bold]open[/]", money(found["open"]), "")
    say(rows)


@app.command("facts")
def facts(
    invoice: Invoice,
    to: Annotated[Path | None, typer.Option(help="File to save them to, as CSV.")] = None,
    table_: Annotated[
        Path | None, typer.Option("--from", help="Recount these, saved before, in place of those of the portal.")
    ] = None,
) -> None:
    """Recount the usage facts of an invoice: as many, as long and of the hash that its lines say, or exit code 4."""
    from stemma.billing.usage import facts_read

    portal = Portal()
    found = _invoice(portal, invoice)
    traces = [line["trace"] for line in found["lines"] if "sha256" in line["trace"]]
    if not traces:
        say(f"{found['name']} follows from no usage.")
        return
    body = table_.read_bytes() if table_ else portal.fetch(f"billing/invoices/{found['id']}/facts.csv")
    if to is not None:
        to.write_bytes(body)
    count, ms, digest = facts_read(body)
    for trace in traces:
        if (count, ms, digest) != (trace["facts"], trace["ms"], trace["sha256"]):
            raise ProofError(
                f"{found['name']} says {trace['facts']} facts of {trace['ms']} ms, {trace['sha256']}; "
                f"these are {count} of {ms} ms, {digest}.",
                remedy="Ask who invoiced it.",
            )
    say(f"{found['name']} follows from these {count:,} facts: {ms:,} ms, SHA-256 {digest}.")


@app.command("credit-note")
def credit_note(
    invoice: Invoice,
    amount: Annotated[str, typer.Argument(help="With tax, such as 119.00.")],
    reason: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """Take back some of an invoice, with its tax."""
    portal = Portal()
    found = _invoice(portal, invoice)
    body = {"total": _micro(amount), "reason": reason}
    made = portal.post(f"billing/invoices/{found['id']}/credit-notes", body)
    say(f"Credit note [bold]{made['name']}[/] over {money(made['total'], made['currency'])}.")


@app.command("declare")
def declare(
    organisation: Who,
    amount: Annotated[str, typer.Argument(help="The year's revenue, such as 1250000.")],
    starts: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day of the year.")],
    ends: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Its last day.")],
    entity: Annotated[str, typer.Option(help="Legal entity whose revenue it is.")],
    currency: Annotated[str, typer.Option(help="Its currency.")] = "USD",
    group: Annotated[str, typer.Option(help="Group that it belongs to; the revenue is then the group's.")] = "",
    short: Annotated[str, typer.Option(help="Why it is no whole year, such as that it was founded in it.")] = "",
) -> None:
    """Declare a year's revenue."""
    portal = Portal()
    body = {
        "organisation": _organisation(portal, organisation), "entity": entity, "group": group,
        "amount": _micro(amount), "currency": currency, "starts": f"{starts:%Y-%m-%d}", "ends": f"{ends:%Y-%m-%d}",
        "short": short,
    }  # fmt: skip
    made = portal.post("billing/declarations", body)
    why = f" ({', '.join(made['doubts'])})" if made["doubts"] else ""
    say(f"Declaration [bold]{made['id']}[/]: {made['state']}{why}; due again on {made['renew_on']}.")


@app.command("declarations")
def declarations(
    state: Annotated[str | None, typer.Option(help="Only those in review, accepted or declined.")] = None,
) -> None:
    """Declarations of revenue, newest first."""
    rows = table("declaration", "entity", "year", "revenue", "state", right=("revenue",))
    for found in Portal().items("billing/declarations", state=state):
        rows.add_row(
            found["id"], escape(found["entity"]), found["ends"][:4], money(found["amount"], found["currency"]),
            found["state"],
        )  # fmt: skip
    say(rows)


@app.command("decide")
def decide(
    declaration: Annotated[str, typer.Argument(help="Identifier of the declaration.")],
    why: Annotated[str, typer.Option(help="Why.")],
    accept: Annotated[bool, typer.Option("--accept/--decline", help="What is decided.")] = True,
) -> None:
    """Accept or decline a declaration that waits."""
    made = Portal().post(f"billing/declarations/{declaration}/decision", {"accept": accept, "why": why})
    say(f"Declaration [bold]{made['id']}[/] is {made['state']}.")


@app.command("credit")
def credit(
    organisation: Who,
    buy: Annotated[str | None, typer.Option(help="Amount before tax to buy, such as 500.")] = None,
) -> None:
    """What is left of prepaid credit; with --buy, more of it is invoiced."""
    portal = Portal()
    who = _organisation(portal, organisation)
    if buy is not None:
        made = portal.post("billing/credit", {"organisation": who, "amount": _micro(buy)})
        say(f"{made['name']}: pay {money(made['open'], made['currency'])} with [bold]{made['reference']}[/].")
        return
    found = portal.get(f"billing/credit/{who}")["balance"]
    for currency, left in found.items():
        say(money(left, currency))
    if not found:
        say("There is no credit; buy some with --buy.")


def _organisation(portal: Portal, name: str) -> str:
    for found in portal.get("organisations"):
        if name in (found["id"], found["slug"]):
            return str(found["id"])
    raise NotFoundError(f"There is no organisation {name}.", remedy="Give its identifier or its short name.")


def _invoice(portal: Portal, name: str) -> Any:
    if not name.upper().startswith("S-"):
        return portal.get(f"billing/invoices/{name}")
    for found in portal.items("billing/invoices"):
        if found["name"] == name.upper():
            return found
    raise NotFoundError(f"There is no invoice {name}.", remedy="See `stemma billing invoices`.")


def _micro(text: str) -> int:
    try:
        micro = Decimal(text) * MICRO
    except InvalidOperation:
        micro = Decimal("NaN")
    if not micro.is_finite() or micro != micro.to_integral_value():
        raise InvalidError(f"{text!r} is no amount.", remedy="Write it as 1234.50, with at most six decimals.")
    return int(micro)

"""Bank statements and usage facts for tests."""

from __future__ import annotations

from collections.abc import Sequence

ACCOUNT = "DE75512108001245126199"


def transaction(
    amount: str, reference: str = "", *, currency: str = "EUR", servicer: str = "", text: str = "",
    direction: str = "CRDT", state: str = "BOOK", reversal: bool = False, day: str = "2026-11-28",
    parts: Sequence[tuple[str, str, str]] = (),
):  # fmt: skip
    """An entry as a function of the version it is written in; `parts` are amounts, references and the bank's own."""

    def written(version: int) -> str:
        def details(part: str, ref: str, own: str) -> str:
            name = "<Nm>Studio GmbH</Nm>" if version < 8 else "<Pty><Nm>Studio GmbH</Nm></Pty>"
            money = f'<Amt Ccy="{currency}">{part}</Amt>'
            money = money if version > 3 else f"<AmtDtls><TxAmt>{money}</TxAmt></AmtDtls>"
            structured = f"<Strd><CdtrRefInf><Ref>{ref}</Ref></CdtrRefInf></Strd>" if ref else ""
            return (
                f"<TxDtls><Refs>{f'<AcctSvcrRef>{own}</AcctSvcrRef>' if own else ''}</Refs>{money}"
                f"<RltdPties><Dbtr>{name}</Dbtr><DbtrAcct><Id><IBAN>DE02120300000000202051</IBAN></Id></DbtrAcct>"
                f"</RltdPties><RmtInf>{f'<Ustrd>{text}</Ustrd>' if text else ''}{structured}</RmtInf></TxDtls>"
            )

        inside = "".join(details(*part) for part in (parts or [(amount, reference, "")]))
        said = state if version < 4 else f"<Cd>{state}</Cd>"
        return (
            f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>'
            f"{'<RvslInd>true</RvslInd>' if reversal else ''}<Sts>{said}</Sts><BookgDt><Dt>{day}</Dt></BookgDt>"
            f"{f'<AcctSvcrRef>{servicer}</AcctSvcrRef>' if servicer else ''}<NtryDtls>{inside}</NtryDtls></Ntry>"
        )

    return written


def statement(*entries, version: int = 8, identifier: str = "ST-1", account: str = ACCOUNT) -> bytes:
    """A camt.053 file."""
    inside = "".join(entry(version) for entry in entries)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>M</MsgId></GrpHdr><Stmt><Id>{identifier}</Id>"
        f"<Acct><Id><IBAN>{account}</IBAN></Id></Acct>{inside}</Stmt></BkToCstmrStmt></Document>"
    ).encode()

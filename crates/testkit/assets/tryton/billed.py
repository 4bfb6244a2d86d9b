"""Prints what a Tryton database bills: JSON, a list of [reference, code of the party, amount of all lines] of customer invoices.

It reads the file itself, not through the server.
"""

import json
import sqlite3
import sys
from decimal import Decimal

database = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True, timeout=30)
rows = database.execute(
    """
    SELECT invoice.id, invoice.reference, party.code, line.quantity, line.unit_price
    FROM account_invoice AS invoice
    JOIN party_party AS party ON party.id = invoice.party
    LEFT JOIN account_invoice_line AS line ON line.invoice = invoice.id
    WHERE invoice.type = 'out'
    ORDER BY invoice.id
    """
)


def number(value):
    """Decimals stand there as text, or as its bytes."""
    return Decimal(value.decode() if isinstance(value, bytes) else str(value or 0))


billed = {}
for key, reference, party, quantity, price in rows:
    amount = number(quantity) * number(price)
    before = billed.get(key, (reference, party, Decimal(0)))
    billed[key] = (reference, party, before[2] + amount)
print(json.dumps([[r, p, str(a.quantize(Decimal("0.01")))] for r, p, a in billed.values()]))

"""Prints what a Tryton database holds of customer invoices: JSON, a list of [reference, state, lines, booked].

`booked` is the number of posted account moves behind the invoice. It reads the file itself, not through the server.
"""

import json
import sqlite3
import sys

database = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True, timeout=30)
rows = database.execute(
    """
    SELECT invoice.reference, invoice.state,
           (SELECT count(*) FROM account_invoice_line AS line WHERE line.invoice = invoice.id),
           (SELECT count(*) FROM account_move AS move WHERE move.id = invoice.move AND move.state = 'posted')
    FROM account_invoice AS invoice
    WHERE invoice.type = 'out'
    ORDER BY invoice.id
    """
)
print(json.dumps(rows.fetchall()))

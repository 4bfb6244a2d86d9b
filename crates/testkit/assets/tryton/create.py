"""Makes a company in an empty Tryton database: what a consultant would click together on the first day.

Called with the server's configuration file and the key of the integration user. Every object below is found again
by its name or code.
"""

import datetime
import sys
from decimal import Decimal

from proteus import Model, Wizard, config

configuration, key = sys.argv[1:]
session = config.set_trytond(database="erp", config_file=configuration)

Party = Model.get("party.party")
User = Model.get("res.user")
Group = Model.get("res.group")
Currency = Model.get("currency.currency")
ModelData = Model.get("ir.model.data")
Sequence = Model.get("ir.sequence.strict")
SequenceType = Model.get("ir.sequence.type")
Account = Model.get("account.account")
Journal = Model.get("account.journal")


def company():
    euro = Currency(name="Euro", symbol="€", code="EUR", rounding=Decimal("0.01"), digits=2)
    euro.rates.new(date=datetime.date.min, rate=Decimal("1.0"))
    euro.save()
    party = Party(name="Counterfoil Test GmbH")
    party.save()
    wizard = Wizard("company.company.config")
    wizard.execute("company")
    wizard.form.party = party
    wizard.form.currency = euro
    wizard.execute("add")
    session._context = User.get_preferences(True, {})
    found, = Model.get("company.company").find()
    return found


def account_of(kind):
    return Account.find([("type." + kind, "=", True), ("closed", "!=", True)], limit=1)[0]


def chart(of):
    root = ModelData.get_id("account.account_template_root_en", session.context)
    wizard = Wizard("account.create_chart")
    wizard.execute("account")
    wizard.form.account_template = Model.get("account.account.template")(root)
    wizard.form.company = of
    wizard.execute("create_account")
    wizard.form.account_receivable = account_of("receivable")
    wizard.form.account_payable = account_of("payable")
    wizard.form.category_account_expense = account_of("expense")
    wizard.form.category_account_revenue = account_of("revenue")
    wizard.execute("create_properties")


def fiscal_year(year, of):
    def sequence(kind):
        kind, = SequenceType.find([("name", "=", kind)], limit=1)
        made = Sequence(name=str(year), sequence_type=kind, company=of)
        made.save()
        return made

    made = Model.get("account.fiscalyear")(name=str(year), company=of)
    made.start_date = datetime.date(year, 1, 1)
    made.end_date = datetime.date(year, 12, 31)
    made.move_sequence = sequence("Account Move")
    invoices, = made.invoice_sequences
    number = sequence("Invoice")
    invoices.out_invoice_sequence = invoices.in_invoice_sequence = number
    invoices.out_credit_note_sequence = invoices.in_credit_note_sequence = number
    made.save()
    made.click("create_period")


def products():
    category = Model.get("product.category")(name="Sold goods", accounting=True)
    category.account_expense = account_of("expense")
    category.account_revenue = account_of("revenue")
    category.save()
    unit, = Model.get("product.uom").find([("name", "=", "Unit")])
    for code, name, price in [("WIDGET", "Widget", "19.90"), ("CARE", "Maintenance, per month", "100.00")]:
        template = Model.get("product.template")(name=name, default_uom=unit, type="service")
        template.salable = True
        template.sale_uom = unit
        template.list_price = Decimal(price)
        template.account_category = category
        template.code = code
        template.save()


def bank():
    """A statement line that names an invoice pays it, once the statement is posted."""
    journal = Model.get("account.statement.journal")(name="Bank", validation="amount")
    journal.journal = Journal(name="Bank", code="BANK", type="statement")
    journal.journal.save()
    journal.account, = Account.find([("code", "=", "1.1.1")], limit=1)
    journal.save()


def integration_user(of):
    user = User(name="Integration", login="integration", password=key)
    user.companies.append(of)
    user.company = of
    user.groups.extend(Group.find([("name", "!=", "Administration")]))
    user.save()
    application = Model.get("res.user.application")(application="rest", key=key)
    application.user = user
    application.save()
    if application.state != "validated":
        application.click("validate_")


made = company()
chart(made)
this_year = datetime.date.today().year
for year in (this_year - 1, this_year, this_year + 1):
    fiscal_year(year, made)
products()
bank()
integration_user(made)
print("ready")

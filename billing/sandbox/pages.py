"""The hosted pages: Checkout, the 3-D Secure challenge, the portal, invoices. Plain forms, no script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from billing.sandbox import invoice_pdf
from billing.sandbox.account import Account
from billing.sandbox.currencies import money
from billing.sandbox.errors import APIError
from billing.sandbox.resources import (
    cards,
    checkout,
    customers,
    portal,
    renewals,
    subscription_changes,
    subscriptions,
    tax_ids,
    taxes,
    test_clocks,
)
from billing.sandbox.store import Document
from billing.sandbox.words import language_of, translator

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    def __init__(self, account: Account, templates: Jinja2Templates) -> None:
        self._account = account
        self._templates = templates

    async def checkout(self, request: Request) -> Response:
        """The card form; POST pays, or asks for the 3-D Secure challenge first."""
        session = self._account.store.find("checkout.session", request.path_params["session_id"])
        if session is None or session["status"] == "expired":
            return self._gone(request)
        if session["status"] == "complete":
            return RedirectResponse(_success_url(session), 303)
        if request.method != "POST":
            return self._checkout_page(request, session)
        form = await _form(request)
        with test_clocks.time_of(self._account, iter([session["id"]])):
            return self._checked_out(request, session, form)

    def _checked_out(self, request: Request, session: Document, form: dict[str, str]) -> Response:
        try:
            session = self._with_code(session, form)
        except APIError as refusal:
            return self._checkout_page(request, session, form=form, error=_code_of(refusal, "promotion_code_invalid"))
        if form.get("action") == "code":
            return self._checkout_page(request, session, form=form)
        return self._paid(request, session, form)

    def _with_code(self, session: Document, form: dict[str, str]) -> Document:
        """The session with the promotion code that is typed in now. Raises the code's error."""
        typed = form.get("promotion_code")
        if (
            typed is None
            or not session["allow_promotion_codes"]
            or typed.strip().lower() == self._code_of(session).lower()
        ):
            return session
        with self._account.store.change():
            return checkout.redeem(self._account, session, typed)

    def _code_of(self, session: Document) -> str:
        for one in session["discounts"]:
            if code := self._account.store.find("promotion_code", one["promotion_code"]):
                return str(code["code"])
        return ""

    def _paid(self, request: Request, session: Document, form: dict[str, str]) -> Response:
        number = form.get("number", "")
        if _asks_first(form):
            return self._render(request, "challenge.html", session=session, form=form, locale=session["locale"])
        if form.get("challenge") == "fail":
            return self._checkout_page(request, session, form=form, error="authentication_failed")
        try:
            month, year = _expiry(form.get("expiry", ""))
        except ValueError:
            return self._checkout_page(request, session, form=form, error="bad_expiry")
        try:
            with self._account.store.change():
                session = checkout.complete(
                    self._account,
                    session,
                    number=number,
                    month=month,
                    year=year,
                    is_authenticated=form.get("challenge") == "complete",
                    tax_id=(form.get("tax_id_type", ""), form.get("tax_id", "")),
                    business_name=form.get("business_name", "").strip(),
                    country=form.get("country", ""),
                )
        except APIError as refusal:
            return self._checkout_page(request, session, form=form, error=_code_of(refusal))
        return RedirectResponse(_success_url(session), 303)

    def _checkout_page(
        self, request: Request, session: Document, *, form: dict[str, str] | None = None, error: str = ""
    ) -> Response:
        price, quantity, data = checkout.price_of(self._account, session)
        product = self._account.store.get("product", price["product"])
        return self._render(
            request,
            "checkout.html",
            status=402 if error else 200,
            session=session,
            price=price,
            product=product,
            quantity=quantity,
            trial_days=int(data.get("trial_period_days", 0)),
            code=self._code_of(session),
            tax_id_names=tax_ids.NAMES,
            countries=self._countries_asked(session),
            form=form or {},
            error=error,
            locale=session["locale"],
        )

    def _countries_asked(self, session: Document) -> dict[str, str]:
        """What the page offers as the country, where tax goes by it and it is not known yet."""
        customer = self._account.store.find("customer", session["customer"]) if session["customer"] else None
        is_known = bool(((customer or {}).get("address") or {}).get("country"))
        return taxes.COUNTRIES if session["automatic_tax"]["enabled"] and not is_known else {}

    async def portal(self, request: Request) -> Response:
        """Subscriptions, cards and invoices of one customer; POST changes one of them, as the configuration allows."""
        session = self._account.store.find("billing_portal.session", request.path_params["session_id"])
        if session is None:
            return self._gone(request)
        error = ""
        if request.method == "POST":
            error = self._portal_action(session, await _form(request))
            if not error:
                return RedirectResponse(portal.after(session), 303)
        return self._portal_page(request, session, error)

    def _portal_action(self, session: Document, form: dict[str, str]) -> str:
        account, action = self._account, form.get("action", "")
        try:
            with account.store.change(), test_clocks.time_of(account, iter([session["id"]])):
                if action == "card":
                    month, year = _expiry(form.get("expiry", ""))
                    self._replace_card(session["customer"], form.get("number", ""), month, year)
                elif action == "switch" and self._may(session, "subscription_update"):
                    self._switch(session, form)
                elif action in ("cancel", "resume") and self._may(session, "subscription_cancel"):
                    params = {"cancel_at_period_end": "true" if action == "cancel" else "false"}
                    subscription_changes.update(account, params, self._own(session, form.get("subscription", "")))
        except APIError as refusal:
            return _code_of(refusal)
        except ValueError:
            return "bad_expiry"
        return ""

    def _may(self, session: Document, feature: str) -> bool:
        configuration = self._account.store.get("billing_portal.configuration", session["configuration"])
        return bool(configuration["features"][feature]["enabled"])

    def _switch(self, session: Document, form: dict[str, str]) -> None:
        """Another of the prices that the configuration offers."""
        subscription = self._account.store.get("subscription", self._own(session, form.get("subscription", "")))
        offered = portal.offered(self._account, session, subscription)
        price = next((one for one in offered if one["id"] == form.get("price")), None)
        if price is None:
            raise APIError(404, "invalid_request_error", "No such price", code="resource_missing")
        feature = self._account.store.get("billing_portal.configuration", session["configuration"])["features"]
        items = [{"id": subscription["items"]["data"][0]["id"], "price": price["id"]}]
        behaviour = feature["subscription_update"]["proration_behavior"]
        change = {"items": items, "proration_behavior": behaviour}
        subscription_changes.update(self._account, change, subscription["id"])

    def _own(self, session: Document, subscription_id: str) -> str:
        subscription = self._account.store.get("subscription", subscription_id)
        if subscription["customer"] != session["customer"]:
            raise APIError(404, "invalid_request_error", "No such subscription", code="resource_missing")
        return subscription_id

    def _replace_card(self, customer_id: str, number: str, month: int, year: int) -> None:
        account = self._account
        card = cards.create_card(account, number=number, month=month, year=year, customer=customer_id)
        customer = customers.existing(account, customer_id)
        settings = {**customer["invoice_settings"], "default_payment_method": card["id"]}
        account.update(customer, event="customer.updated", invoice_settings=settings)
        for invoice in account.store.all("invoice", lambda one: one["status"] == "open", customer=customer_id):
            renewals.collect(account, invoice)

    def _portal_page(self, request: Request, session: Document, error: str) -> Response:
        store, customer_id = self._account.store, session["customer"]
        living = store.all("subscription", lambda one: one["status"] not in subscriptions.ENDED, customer=customer_id)
        rows = [
            {
                "subscription": subscription,
                "item": subscription["items"]["data"][0],
                "product": store.get("product", subscription["items"]["data"][0]["price"]["product"]),
                "card": subscriptions.method_of(self._account, subscription),
                "offered": portal.offered(self._account, session, subscription),
            }
            for subscription in living
        ]
        bills = store.all("invoice", customer=customer_id)
        return self._render(
            request,
            "portal.html",
            status=402 if error else 200,
            session=session,
            rows=rows,
            invoices=bills if self._may(session, "invoice_history") else None,
            may_cancel=self._may(session, "subscription_cancel"),
            names={one["id"]: one["name"] for one in store.all("product")},
            error=error,
            locale=session["locale"],
        )

    async def invoice(self, request: Request) -> Response:
        """The invoice, and a card form while it is open; POST pays it, or asks for the challenge first."""
        invoice = self._account.store.find("invoice", request.path_params["invoice_id"])
        if invoice is None:
            return self._gone(request)
        form, error = {}, ""
        if request.method == "POST" and invoice["status"] == "open":
            form = await _form(request)
            if _asks_first(form):
                return self._render(request, "challenge.html", form=form)
            with test_clocks.time_of(self._account, iter([invoice["id"]])):
                error = self._pay_invoice(invoice, form)
            if not error:
                return RedirectResponse(f"/invoice/{invoice['id']}", 303)
        status = 402 if error else 200
        said = self._said_on(invoice)
        return self._render(request, "invoice.html", status=status, invoice=invoice, form=form, error=error, **said)

    def _pay_invoice(self, invoice: Document, form: dict[str, str]) -> str:
        """Why it was not paid; empty when it was."""
        if form.get("challenge") == "fail":
            return "authentication_failed"
        try:
            month, year = _expiry(form.get("expiry", ""))
            with self._account.store.change():
                number, customer = form.get("number", ""), invoice["customer"]
                card = cards.create_card(self._account, number=number, month=month, year=year, customer=customer)
                is_authenticated = form.get("challenge") == "complete"
                after = renewals.pay_by_hand(self._account, invoice, card, is_authenticated=is_authenticated)
        except APIError as refusal:
            return _code_of(refusal)
        except ValueError:
            return "bad_expiry"
        return "" if after["status"] == "paid" else "card_declined"

    def _said_on(self, invoice: Document) -> dict[str, Any]:
        """What stands on an invoice besides its lines: discounts (name, amount), taxes (name, amount, included)."""
        taken = [(self._name_of(one["discount"]), one["amount"]) for one in invoice["total_discount_amounts"]]
        owed = [
            (self._tax_name(one), one["amount"], one["tax_behavior"] == "inclusive") for one in invoice["total_taxes"]
        ]
        return {"taken": [one for one in taken if one[1]], "taxes": owed, "tax_id_names": tax_ids.NAMES}

    def _tax_name(self, tax: Document) -> str:
        rate = self._account.store.get("tax_rate", tax["tax_rate_details"]["tax_rate"])
        why = " (reverse charge)" if tax["taxability_reason"] == "reverse_charge" else ""
        return f"{rate['display_name']} {rate['percentage']:g} %{why}"

    def _name_of(self, discount_id: str) -> str:
        discount = self._account.store.get("discount", discount_id)
        coupon = self._account.store.get("coupon", discount["source"]["coupon"])
        code = self._account.store.find("promotion_code", discount["promotion_code"])
        off = (
            f"{coupon['percent_off']:g} %" if coupon["percent_off"] else money(coupon["amount_off"], coupon["currency"])
        )
        return f"{code['code'] if code else coupon['name'] or coupon['id']} (-{off})"

    async def invoice_pdf(self, request: Request) -> Response:
        invoice = self._account.store.find("invoice", request.path_params["invoice_id"])
        if invoice is None:
            return self._gone(request)
        name = f"{invoice['number'] or invoice['id']}.pdf"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(
            invoice_pdf.render(invoice, **self._said_on(invoice)), media_type="application/pdf", headers=headers
        )

    async def front(self, request: Request) -> Response:
        return self._render(request, "front.html")

    def _gone(self, request: Request) -> Response:
        return self._render(request, "gone.html", status=404)

    def _render(
        self, request: Request, template: str, *, status: int = 200, locale: str | None = None, **context: Any
    ) -> Response:
        language = language_of(locale, request.headers.get("accept-language", ""))
        translate: Callable[[str], str] = translator(language)
        everything = {"_": translate, "language": language, "money": money, **context}
        return self._templates.TemplateResponse(request, template, everything, status_code=status, headers=HEADERS)


def _code_of(refusal: APIError, otherwise: str = "card_declined") -> str:
    return str(refusal.body["error"].get("code", otherwise))


def _asks_first(form: dict[str, str]) -> bool:
    """Whether the card's bank asks for the challenge, which has not been shown yet."""
    digits = "".join(filter(str.isdigit, form.get("number", "")))
    return cards.TEST_CARDS.get(digits) == "needs_authentication" and form.get("challenge") is None


def _success_url(session: Document) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _expiry(text: str) -> tuple[int, int]:
    """(month, year) of "12 / 34". Raises `ValueError`."""
    month, year = (int(part) for part in text.replace(" ", "").split("/"))
    if not 1 <= month <= 12:
        raise ValueError("no such month")
    return month, year + 2000 if year < 100 else year


async def _form(request: Request) -> dict[str, str]:
    body = (await request.body()).decode(errors="replace")
    return {name: values[-1] for name, values in parse_qs(body, keep_blank_values=True).items()}

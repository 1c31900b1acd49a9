from django.urls import path

from billing.views import plans, subscription, team, usage

urlpatterns = [
    path("plans", plans.plans, name="plans"),
    path("checkout", plans.start, name="checkout"),
    path("return", plans.returned, name="checkout-return"),
    path("portal", plans.portal, name="billing-portal"),
    path("change", subscription.preview, name="plan-preview"),
    path("change/confirm", subscription.change, name="plan-change"),
    path("cancel", subscription.cancel, name="plan-cancel"),
    path("resume", subscription.resume, name="plan-resume"),
    path("usage", usage.usage_page, name="usage"),
    path("invoices", usage.invoices, name="invoices"),
    path("invoices/<str:invoice_id>", usage.open_invoice, {"form": "page"}, name="invoice-page"),
    path("invoices/<str:invoice_id>/pdf", usage.open_invoice, {"form": "pdf"}, name="invoice-pdf"),
    path("pay", usage.pay, name="pay"),
    path("team", team.team_page, name="team"),
    path("team/invitations/<uuid:invitation_id>/revoke", team.revoke, name="team-revoke"),
    path("team/members/<uuid:user_id>/remove", team.remove, name="team-remove"),
    path("team/join/<str:token>", team.invitation, name="team-invitation"),
]

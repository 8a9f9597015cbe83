"""Addresses of the pages about money that licensees pay."""

from django.urls import path

from stemma_portal.billing import credit_views, deadline_views, staff_views, views

app_name = "billing"
urlpatterns = [
    path("billing/", views.overview, name="overview"),
    path("billing/address/", views.buyer_edit, name="buyer"),
    path("billing/quotes/new/", views.quote_new, name="quote_new"),
    path("billing/quotes/<id:quote_id>/", views.quote_detail, name="quote"),
    path("billing/quotes/<id:quote_id>.pdf", views.quote_file, name="quote_pdf"),
    path("billing/quotes/<id:quote_id>/order/", views.quote_order, name="quote_order"),
    path("billing/orders/<id:order_id>/", views.order_detail, name="order"),
    path("billing/orders/<id:order_id>/cancellation/", views.order_end, name="order_end"),
    path("billing/invoices/", views.invoice_list, name="invoices"),
    path("billing/invoices/<id:invoice_id>/", views.invoice_detail, name="invoice"),
    path("billing/invoices/<id:invoice_id>.pdf", views.invoice_file, {"form": "pdf"}, name="invoice_pdf"),
    path("billing/invoices/<id:invoice_id>.xml", views.invoice_file, {"form": "xml"}, name="invoice_xml"),
    path("billing/invoices/<id:invoice_id>/facts.csv", views.invoice_facts_file, name="invoice_facts"),
    path("billing/invoices/<id:invoice_id>/credit/", staff_views.credit, name="credit"),
    path("billing/invoices/<id:invoice_id>/credit/<id:note_id>.pdf", views.credit_note_file, {"form": "pdf"},
         name="note_pdf"),
    path("billing/invoices/<id:invoice_id>/credit/<id:note_id>.xml", views.credit_note_file, {"form": "xml"},
         name="note_xml"),
    path("billing/revenue/", views.revenue, name="revenue"),
    path("billing/revenue/new/", views.revenue_new, name="revenue_new"),
    path("billing/revenue/<id:declaration_id>/evidence/", views.evidence_own, name="evidence_own"),
    path("billing/usage/", views.usage_list, name="usages"),
    path("billing/usage/<id:license_id>/", views.usage, name="usage"),
    path("billing/usage/<id:license_id>/limit/", views.limit_edit, name="limit"),
    path("billing/declarations/", staff_views.declarations, name="declarations"),
    path("billing/declarations/<id:declaration_id>/", staff_views.declaration, name="declaration"),
    path("billing/declarations/<id:declaration_id>/evidence/", staff_views.evidence, name="evidence"),
    path("billing/credit/", credit_views.credit, name="prepaid"),
    path("billing/credit/new/", credit_views.credit_new, name="prepaid_new"),
    path("billing/invoices/<id:invoice_id>/refund/", credit_views.surplus_refund, name="surplus"),
    path("billing/refunds/", credit_views.refunds, name="refunds"),
    path("billing/refunds/<id:refund_id>/", credit_views.refund, name="refund"),
    path("billing/deadlines/", deadline_views.deadlines, name="deadlines"),
    path("billing/deadlines/<id:deadline_id>/", deadline_views.deadline, name="deadline"),
    path("billing/deadlines/<id:deadline_id>/answer/", deadline_views.answer, name="deadline_answer"),
    path("billing/deadlines/<id:deadline_id>/decision/", deadline_views.decide, name="deadline_decide"),
    path("billing/licenses/<id:license_id>/breach/", deadline_views.breach, name="breach"),
    path("billing/payments/", staff_views.payments, name="payments"),
    path("billing/payments/<id:payment_id>/", staff_views.payment, name="payment"),
    path("billing/settings/", staff_views.settings, name="settings"),
]  # fmt: skip

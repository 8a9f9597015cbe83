"""Addresses of the pages about claims against outputs."""

from django.urls import path

from stemma_portal.indemnity import views

app_name = "indemnity"
urlpatterns = [
    path("indemnity/", views.claim_list, name="claims"),
    path("indemnity/new/", views.claim_new, name="claim_new"),
    path("indemnity/<id:case_id>/", views.claim_detail, name="claim"),
    path("indemnity/<id:case_id>/message/", views.claim_message, name="message"),
    path("indemnity/<id:case_id>/closing/", views.claim_closing, name="closing"),
    path("indemnity/<id:case_id>/desk/", views.claim_desk, name="desk"),
    path("indemnity/<id:case_id>/reserve/", views.claim_reserve, name="reserve"),
    path("indemnity/<id:case_id>/reserve/<id:move_id>/", views.claim_move, name="move"),
    path("indemnity/<id:case_id>/papers/<id:paper_id>/", views.claim_paper, name="paper"),
    path("indemnity/<id:case_id>/dossier-<str:number>.<str:form>", views.claim_dossier, name="dossier"),
]

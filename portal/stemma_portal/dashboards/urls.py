"""Addresses of the pages that bring several apps together."""

from django.urls import path

from stemma_portal.dashboards.views import (
    developers,
    duplicates,
    frame,
    home,
    log,
    playground,
    recordings,
    releases,
    shares,
    status,
)

app_name = "dashboards"
urlpatterns = [
    path("", home.home, name="home"),
    path("theme/", frame.theme, name="theme"),
    path("developers/", developers.developers, name="developers"),
    path("verify/", frame.verify, name="verify"),
    path("log/", log.log, name="log"),
    path("catalog/", recordings.recording_list, name="recordings"),
    path("catalog/<id:recording_id>/", recordings.recording_detail, name="recording"),
    path("catalog/<id:recording_id>/earned/", recordings.recording_earned, name="earned"),
    path("catalog/<id:recording_id>/shares/", shares.shares_edit, name="shares"),
    path("catalog/<id:recording_id>/shares/history/", shares.share_history, name="share_history"),
    path("catalog/works/<id:work_id>/", recordings.work_detail, name="work"),
    path("shares/", shares.share_questions, name="share_questions"),
    path("shares/<id:question_id>/answer/", shares.share_answer, name="share_answer"),
    path("duplicates/", duplicates.duplicate_list, name="duplicates"),
    path("duplicates/<id:likeness_id>/", duplicates.duplicate_detail, name="duplicate"),
    path("duplicates/<id:likeness_id>/decide/", duplicates.duplicate_decide, name="duplicate_decide"),
    path("releases/", releases.release_list, name="releases"),
    path("releases/<id:release_id>/", releases.release_detail, name="release"),
    path("playground/", playground.playground, name="playground"),
    path("playground/key/", playground.playground_key, name="playground_key"),
    path("status/", status.status, name="status"),
]

from django.urls import path

from feedback import views

urlpatterns = [
    path("replies/<uuid:message_id>", views.rate, name="rate"),
    path("review/", views.review_queue, name="review"),
    path("review/<uuid:rating_id>", views.decide, name="decide"),
    path("releases/", views.releases, name="releases"),
    path("releases/make", views.make_release, name="make-release"),
    path("releases/files/<str:token>", views.download, name="release-file"),
]

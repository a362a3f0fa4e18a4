"""The list of rides is the front page."""

from django.urls import path

from . import views

urlpatterns = [path("", views.ride_list, name="ride-list")]

"""One page, and the admin."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("", include("rides.urls")), path("admin/", admin.site.urls)]

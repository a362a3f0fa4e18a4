"""The one page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .models import RideListRow, Scooter


def ride_list(request: HttpRequest) -> HttpResponse:
    """The latest rides and the fleet."""
    rides = RideListRow.objects.all()
    context = {
        "rides": rides[:12],
        "count": rides.count(),
        "scooters": Scooter.objects.order_by("code"),
    }
    return render(request, "rides/ride_list.html", context)

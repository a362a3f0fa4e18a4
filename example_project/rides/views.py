"""The one page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .models import Ride, ScooterTotal


def ride_list(request: HttpRequest) -> HttpResponse:
    """The latest rides, and what each scooter has earned."""
    rides = Ride.objects.select_related("scooter", "rider").order_by("-started_at")
    context = {
        "rides": rides[:12],
        "count": rides.count(),
        "scooters": ScooterTotal.objects.order_by("code"),
    }
    return render(request, "rides/ride_list.html", context)

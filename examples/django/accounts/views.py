"""The settings page: the password, and a link is mailed to the current address."""
from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters

from .readdress import request_email_change


@sensitive_post_parameters("password")
@login_required
def settings_page(request):
    context = {}
    if request.method == "POST":
        sent_to, error = request_email_change(
            request.user, request.POST.get("password", ""), request.META["REMOTE_ADDR"]
        )
        context = {"sent_to": sent_to, "error": error}
    return render(request, "accounts/settings.html", context)

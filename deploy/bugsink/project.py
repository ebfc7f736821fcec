"""Creates the project of the service's DSN, with its key; runs inside Bugsink (`bugsink-manage shell`)."""

import os
from uuid import UUID

from django.contrib.auth import get_user_model
from projects.models import Project, ProjectMembership, ProjectRole
from teams.models import Team, TeamMembership, TeamRole

team, _ = Team.objects.get_or_create(name="Flightdeck")
project, _ = Project.objects.get_or_create(
    id=1, defaults={"name": "Flightdeck", "team": team, "sentry_key": UUID(os.environ["PROJECT_KEY"])}
)
for user in get_user_model().objects.filter(is_superuser=True):
    TeamMembership.objects.get_or_create(team=team, user=user, defaults={"role": TeamRole.ADMIN, "accepted": True})
    ProjectMembership.objects.get_or_create(
        project=project, user=user, defaults={"role": ProjectRole.ADMIN, "accepted": True}
    )

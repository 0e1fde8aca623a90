"""The leaderboard as a static site, which opens from disk or any web server and loads nothing from elsewhere."""

from easy_to_hard.leaderboard.page.site import Figure as Figure
from easy_to_hard.leaderboard.page.site import write_site as write_site

"""The leaderboard as a static site: it opens from the disk as from any web server, and loads nothing from elsewhere."""

from easy_to_hard.leaderboard.page.site import write_site as write_site

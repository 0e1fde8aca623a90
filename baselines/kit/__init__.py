"""What the reference methods share: intervals over seeds, and the rule that decides their claims."""

"""What the reference methods share: intervals of what their seeds gave, and the rule that decides their claims."""

"""The subcommands of `easy-to-hard`: each turns flags into one call of the layers below, and prints what comes back."""

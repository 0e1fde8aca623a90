"""The subcommands of `easy-to-hard`: each turns flags into one call to the layers below, and prints what it returns."""

"""A user's package, as FW_config's ADD_USER_PACKAGES names it. See rocket_features_as_python.e2e.ts."""

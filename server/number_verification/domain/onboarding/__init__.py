"""Who is served, and on what terms: organizations, people, products, subscriptions and applications."""

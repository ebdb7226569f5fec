"""What several tests share: small studies, servers, clusters, builders of ledgers."""

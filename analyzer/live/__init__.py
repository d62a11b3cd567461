"""Live audits of interfaces and growing directories: findings are reported as soon as they are known."""

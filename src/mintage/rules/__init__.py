"""The rules: pure functions of their arguments, without database, network, clock or hidden chance.

gs1 · digital_link and scan_data (with elements, ai_table, linters) · serials · unit_ids · lifecycle ·
roles; every refusal is a `violation.RuleViolation`, every random draw takes its bytes from the caller
(`draws`).
"""

"""What-if metrics: what each technique would have done for the traffic that the application really gets.

Off by default. Every module observes one thing at bounded cost: nothing of a body, a parameter or a credential is kept
but a digest, and nothing blocks a request.
"""

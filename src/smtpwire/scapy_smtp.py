"""``scapy.layers.smtp`` once ``conf.exts.load("smtpwire")`` has been called: the layers, bound to their ports."""

# Scapy loads this file under a name of its own, so that imports cannot be relative here.

from smtpwire.dissectors.layers import SMTP, SMTPAuth, SMTPCommand, SMTPMessage, SMTPReply
from smtpwire.dissectors.scapy_ext import bind

__all__ = ["SMTP", "SMTPAuth", "SMTPCommand", "SMTPMessage", "SMTPReply"]

bind()

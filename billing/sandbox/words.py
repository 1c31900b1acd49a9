"""The hosted pages in English and Simplified Chinese."""

from __future__ import annotations

from collections.abc import Callable

_CHINESE = {
    "Simulated Stripe — no money moves": "模拟的 Stripe——不会发生真实付款",
    "Subscribe to": "订阅",
    "per month": "每月",
    "per year": "每年",
    "days free, then": "天免费，之后",
    "Card number": "卡号",
    "Expires (MM / YY)": "有效期（月 / 年）",
    "Security code": "安全码",
    "Pay and subscribe": "付款并订阅",
    "Start the trial": "开始试用",
    "Go back": "返回",
    "Test cards": "测试卡",
    "paid": "付款成功",
    "declined": "被拒绝",
    "asks for 3-D Secure": "需要 3-D Secure 验证",
    "Your card was declined. Use another card.": "您的卡被拒绝，请换一张卡。",
    "This is no test card. Use one of those below; never type a real number here.": (
        "这不是测试卡。请使用下方列出的卡号，切勿在此输入真实卡号。"
    ),
    "Write the expiry date as MM / YY.": "请按“月 / 年”填写有效期。",
    "The bank could not confirm that it is you. Try again or use another card.": (
        "银行无法确认您的身份，请重试或换一张卡。"
    ),
    "Your bank wants to know that it is you": "银行需要确认您的身份",
    "Complete": "完成验证",
    "Fail": "验证失败",
    "Your plan": "您的套餐",
    "ends on": "结束于",
    "renews on": "续订于",
    "Cancel the plan": "取消套餐",
    "Keep the plan": "保留套餐",
    "Card": "卡",
    "Use this card": "使用此卡",
    "Invoices": "账单",
    "Nothing here yet.": "暂无内容。",
    "Invoice": "账单",
    "Total": "合计",
    "Paid": "已付",
    "Download the PDF": "下载 PDF",
    "This page is gone": "此页面已失效",
    "It was used already or has expired. Go back to the site and start again.": (
        "该页面已被使用或已过期，请返回网站重新开始。"
    ),
    "It answers Stripe's API for a site on this machine.": "它为本机上的网站提供 Stripe 的 API。",
    "open": "待付款",
    "draft": "草稿",
    "void": "已作废",
    "Promotion code": "优惠码",
    "Apply": "使用",
    "Subtotal": "小计",
    "Discount": "折扣",
    "Due now": "现在应付",
    "Your code is taken off the first payment after the trial:": "优惠码将用于试用后的首次付款：",
    "This promotion code does not hold here.": "此优惠码在此无效。",
    "I am buying for a business": "我为企业购买",
    "Business name": "企业名称",
    "Kind of tax id": "税号类型",
    "Tax id": "税号",
    "This does not look like a tax id of that kind.": "这看起来不是该类型的税号。",
    "Credit used": "使用的余额",
    "Credit note": "贷记单",
    "Pay": "付款",
    "Pay for": "支付",
    "Another plan": "其他套餐",
    "Switch": "更换",
    "active": "有效",
    "trialing": "试用中",
    "past_due": "逾期未付",
    "unpaid": "未付款",
    "incomplete": "未完成",
    "paused": "已暂停",
    "uncollectible": "无法收取",
    "Country": "国家/地区",
    "United States": "美国",
    "Austria": "奥地利",
    "Australia": "澳大利亚",
    "Belgium": "比利时",
    "Switzerland": "瑞士",
    "China": "中国",
    "Germany": "德国",
    "Spain": "西班牙",
    "France": "法国",
    "United Kingdom": "英国",
    "Ireland": "爱尔兰",
    "Italy": "意大利",
    "Japan": "日本",
    "Netherlands": "荷兰",
    "Singapore": "新加坡",
    "Tax": "税",
    "included": "已含",
}


def language_of(locale: str | None, accepted: str) -> str:
    """ "zh" when the session or the browser asks for Chinese, else "en"."""
    wanted = locale if locale and locale != "auto" else accepted
    return "zh" if wanted.lower().startswith("zh") else "en"


def translator(language: str) -> Callable[[str], str]:
    return (lambda text: _CHINESE.get(text, text)) if language == "zh" else (lambda text: text)
